package dstack

import (
	"crypto/sha256"
	"encoding/json"
	"strings"
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
	v, err := object(json.RawMessage("{ \"b\": [1, 2.50, {\"z\":\"<&>\",\"a\":null}],\n\"a\":\"é\" }"))
	require.NoError(t, err)
	b, err := deterministic(v)
	require.NoError(t, err)
	require.Equal(t, `{"a":"é","b":[1,2.50,{"a":null,"z":"<&>"}]}`, string(b))
	for _, not := range []string{`[1]`, `null`} {
		_, err = object(json.RawMessage(not))
		require.Error(t, err)
	}
}

// What a request leaves out is added before the file is hashed and stored; one
// that spells out all seventeen fields is stored as it is.
func TestStoredIsCompleted(t *testing.T) {
	t.Parallel()
	text, hash, m, err := stored(json.RawMessage(`{"docker_compose_file":"x","pre_launch_script":"","later":1}`), nil)
	require.NoError(t, err)
	require.Equal(t, sha256.Sum256(text), hash)
	require.Equal(t, providersScript, m.PreLaunchScript)
	v, err := object(text)
	require.NoError(t, err)
	require.Len(t, v, 18, "seventeen, and one that it does not know")
	require.Equal(t, []any{"kms", "tproxy-net"}, v["features"])
	require.Equal(t, []any{"zfs", true}, []any{v["storage_fs"], v["tproxy_enabled"]})
	require.NotContains(t, v, "key_provider")
	again, _, _, err := stored(text, nil)
	require.NoError(t, err)
	require.Equal(t, string(text), string(again))
}

func TestStoredRefuses(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{}`: "Field required",
		`{"docker_compose_file":"x","storage_fs":"xfs"}`:                                            "neither ext4 nor zfs",
		`{"docker_compose_file":"x","allowed_envs":"A"}`:                                            "allowed_envs",
		`{"docker_compose_file":"x","manifest_version":"2"}`:                                        "manifest_version",
		`{"docker_compose_file":"` + strings.Repeat("x", maxPayload+1) + `"}`:                       "exceed 200KB",
		`{"docker_compose_file":"x","pre_launch_script":"` + strings.Repeat("x", maxPayload) + `"}`: "exceed 200KB",
	} {
		_, _, _, err := stored(json.RawMessage(body), nil)
		require.ErrorContains(t, err, want)
	}
}

// The script is sourced by the shell that starts the containers: what ends it, ends that.
func TestPreLaunchScriptThatLeaves(t *testing.T) {
	t.Parallel()
	for script, leaves := range map[string]bool{
		"#!/bin/bash\necho exit\n": false, "true\n  exit 0\n": true, "exec sleep 1": true, "# exit\n": false,
	} {
		require.Equal(t, leaves, application{preLaunchScript: script}.prelaunch() != nil, script)
	}
}

// Docker compose on the platform fills variables from nothing.
func TestNothingIsSubstitutedFromTheHost(t *testing.T) {
	t.Setenv("HOST_ONLY", "leaked")
	app, err := read(t.Context(), json.RawMessage(service(`{"image":"r@sha256:00","ports":["1:1"],`+
		`"environment":["A=${HOST_ONLY}","B=$$x"]}`)), nil)
	require.NoError(t, err)
	require.Equal(t, []string{"A=", "B=$x"}, app.environment())
}

func FuzzReadAppCompose(f *testing.F) {
	f.Add([]byte(service(
		`{"image":"r@sha256:00","ports":["8080:8080"],"volumes":["/var/run/dstack.sock:/s"],"environment":{"A":"1"}}`)))
	f.Add([]byte(service(`{"image":"r:latest"}`)))
	f.Add([]byte(`{"docker_compose_file":"a: *b"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		app, err := read(t.Context(), data, nil)
		if err != nil {
			return
		}
		require.Equal(t, sha256.Sum256(app.compose), app.hash)
		again, hash, _, err := stored(app.compose, nil)
		require.NoError(t, err)
		require.Equal(t, app.compose, again)
		require.Equal(t, app.hash, hash)
		require.NotEmpty(t, app.port)
		require.NotPanics(t, func() { app.environment() })
	})
}
