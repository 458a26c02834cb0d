package dstack

import (
	"crypto/sha256"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func service(body string) string {
	file, _ := json.Marshal(`{"services":{"s":` + body + `}}`)
	return `{"runner":"docker-compose","docker_compose_file":` + string(file) + `}`
}

// Whatever the order of keys and the white space, the hash is that of dstack's form.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	b, hash, err := deterministic(json.RawMessage("{ \"b\": [1, 2.50, {\"z\":\"<&>\",\"a\":null}],\n\"a\":\"é\" }"))
	require.NoError(t, err)
	require.Equal(t, `{"a":"é","b":[1,2.50,{"a":null,"z":"<&>"}]}`, string(b))
	require.Equal(t, sha256.Sum256(b), hash)
	_, _, err = deterministic(json.RawMessage(`[1]`))
	require.Error(t, err)
}

// Docker compose on the platform fills variables from nothing.
func TestNothingIsSubstitutedFromTheHost(t *testing.T) {
	t.Setenv("HOST_ONLY", "leaked")
	app, err := read(t.Context(), json.RawMessage(service(`{"image":"r@sha256:00","ports":["1:1"],`+
		`"environment":["A=${HOST_ONLY}","B=$$x"]}`)))
	require.NoError(t, err)
	require.Equal(t, []string{"A=", "B=$x"}, app.environment())
}

func FuzzReadAppCompose(f *testing.F) {
	f.Add([]byte(service(
		`{"image":"r@sha256:00","ports":["8080:8080"],"volumes":["/var/run/dstack.sock:/s"],"environment":{"A":"1"}}`)))
	f.Add([]byte(service(`{"image":"r:latest"}`)))
	f.Add([]byte(`{"docker_compose_file":"a: *b"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		app, err := read(t.Context(), data)
		if err != nil {
			return
		}
		require.Equal(t, sha256.Sum256(app.compose), app.hash)
		again, hash, err := deterministic(app.compose)
		require.NoError(t, err)
		require.Equal(t, app.compose, again)
		require.Equal(t, app.hash, hash)
		require.NotEmpty(t, app.port)
		require.NotPanics(t, func() { app.environment() })
	})
}
