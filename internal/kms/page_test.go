package kms_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

const operatorsPage = "../../docs/operate-kms.md"

// The page names every variable that the service reads, and no other.
func TestThePageNamesEveryVariable(t *testing.T) {
	t.Parallel()
	read := map[string]bool{}
	for _, m := range regexp.MustCompile(`env\["([A-Z0-9_]+)"\]`).FindAllStringSubmatch(readFile(t, "config.go"), -1) {
		read[m[1]] = true
	}
	require.Greater(t, len(read), 12)
	for _, m := range regexp.MustCompile("(?m)^\\| `([A-Z0-9_]+)` \\|").FindAllStringSubmatch(readFile(t, operatorsPage),
		-1) {
		require.True(t, read[m[1]], m[1])
		delete(read, m[1])
	}
	require.Empty(t, read)
}

// The page's table of errors is the wire format's.
func TestThePageNamesEveryError(t *testing.T) {
	t.Parallel()
	var want, got []string
	for _, m := range regexp.MustCompile(`(?m)^\t\w+ += "([a-z_]+)" +// (\d{3})`).
		FindAllStringSubmatch(readFile(t, "wire/wire.go"), -1) {
		want = append(want, m[2]+" "+m[1])
	}
	for _, m := range regexp.MustCompile("(?m)^\\| (\\d{3}) \\| `([a-z_]+)` \\|").
		FindAllStringSubmatch(readFile(t, operatorsPage), -1) {
		got = append(got, m[1]+" "+m[2])
	}
	require.Greater(t, len(want), 15)
	require.ElementsMatch(t, want, got)
}

func TestThePageNamesEveryMetric(t *testing.T) {
	t.Parallel()
	page := readFile(t, operatorsPage)
	for _, m := range regexp.MustCompile(`"(mero_kms_\w+)"`).FindAllStringSubmatch(readFile(t, "metrics.go"), -1) {
		require.Contains(t, page, "| `"+m[1]+"` |")
	}
}

// The answers that need dstack have the fields that the page shows.
func TestThePageShowsTheAnswersOnDstack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	a := begin(t, w, w.node(t, "1.0.0", release.Debug))
	var answers []string
	for _, q := range []struct {
		path string
		body any
	}{{"/attest", wire.AttestRequest{NonceB64: b64(make([]byte, 32))}}, {"/get-key", a.request}} {
		body, err := json.Marshal(q.body)
		require.NoError(t, err)
		resp, err := http.Post(w.url+q.path, "application/json", strings.NewReader(string(body)))
		require.NoError(t, err)
		said, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusOK, resp.StatusCode)
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(said, &fields))
		answers = append(answers, names(fields))
	}
	var shown []string
	for _, m := range regexp.MustCompile("(?s)\n```json\n(.*?)\n```").FindAllStringSubmatch(readFile(t, operatorsPage),
		-1) {
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal([]byte(strings.ReplaceAll(m[1], "[…]", "[]")), &fields))
		shown = append(shown, names(fields))
	}
	require.Equal(t, answers, shown)
}

func names(fields map[string]json.RawMessage) string {
	var out []string
	for name := range fields {
		out = append(out, name)
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}
