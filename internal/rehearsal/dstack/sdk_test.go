package dstack_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	client "github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
)

// exchange is what is known of one endpoint: the types of its fields, of which
// those with a question mark may be left out. An open request may have others besides.
type exchange struct {
	Open    bool              `json:"open"`
	Request map[string]string `json:"request"`
	Answer  map[string]string `json:"answer"`
}

// called is one call of the API as it crossed the wire.
type called struct {
	endpoint        string
	request, answer []byte
}

// wire keeps the calls that went through and succeeded.
type wire struct {
	next  http.RoundTripper
	mu    sync.Mutex
	calls []called
}

var cvmID = regexp.MustCompile(`/cvms/(app_[0-9a-f]{40}|[a-z][a-z0-9-]*)($|/)`)

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	path, isAPI := strings.CutPrefix(r.URL.String(), apiBase)
	if !isAPI {
		return w.next.RoundTrip(r)
	}
	request, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	r.Body = io.NopCloser(bytes.NewReader(request))
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(answer))
	path, _, _ = strings.Cut(path, "?")
	if path != "/cvms/provision" && path != "/cvms/paginated" {
		path = cvmID.ReplaceAllString(path, "/cvms/{id}$2")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if resp.StatusCode/100 == 2 {
		w.calls = append(w.calls, called{r.Method + " " + path, request, answer})
	}
	return resp, nil
}

// Every request of a deployment's life, and every answer to it, has the fields and types of the provider's SDK.
func TestRequestsAndAnswersAreTheSDKs(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/sdk-types.json")
	require.NoError(t, err)
	var known map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(data, &known))
	delete(known, "source")

	w := newWorld(t, t.TempDir(), dstack.Faults{NotStarted: true})
	record := &wire{next: w.network.Transport()}
	w.client = client.New(apiBase, apiKey, record)
	live(t, w)
	seen := map[string]bool{}
	for _, c := range record.calls {
		seen[c.endpoint] = true
		var e exchange
		require.Contains(t, known, c.endpoint)
		require.NoError(t, json.Unmarshal(known[c.endpoint], &e))
		fits(t, c.endpoint+" request", c.request, e.Request, e.Open)
		fits(t, c.endpoint+" answer", c.answer, e.Answer, true)
	}
	for endpoint := range known {
		require.True(t, seen[endpoint], "%s was not called", endpoint)
	}
}

// live is a deployment's whole life, and two that fail.
func live(t *testing.T, w *world) {
	t.Helper()
	ctx := t.Context()
	d, err := w.client.Deploy(ctx, w.app(t, "by-the-sdk", nil))
	require.NoError(t, err)
	_, err = w.client.Update(ctx, d.AppID, w.app(t, "by-the-sdk", func(s map[string]any) { s["restart"] = "always" }))
	require.NoError(t, err)
	unknown := w.app(t, "unknown-image", nil)
	unknown.Image = "dstack-9.9.9"
	_, err = w.client.Deploy(ctx, unknown)
	require.ErrorContains(t, err, "cannot boot the OS image")
	altered := w.app(t, "altered", nil)
	altered.Compose = bytes.Replace(altered.Compose, []byte(`,"storage_fs":"zfs"`), nil, 1)
	_, err = w.client.Deploy(ctx, altered)
	require.ErrorContains(t, err, "another app-compose")
	names, err := w.client.Names(ctx)
	require.NoError(t, err)
	require.Contains(t, names, "by-the-sdk")
	require.NoError(t, w.client.Delete(ctx, d.ID))
}

// fits compares a body with the types of its fields.
func fits(t *testing.T, where string, body []byte, types map[string]string, open bool) {
	t.Helper()
	if len(types) == 0 {
		require.Empty(t, body, where)
		return
	}
	var fields map[string]any
	require.NoError(t, json.Unmarshal(body, &fields), where)
	for name, kind := range types {
		kind, optional := strings.CutSuffix(kind, "?")
		value, there := fields[name]
		require.True(t, there || optional, "%s lacks %s", where, name)
		if there {
			kind, nullable := strings.CutSuffix(kind, "|null")
			require.True(t, value == nil && nullable || isA(value, kind), "%s: %s is no %s: %v", where, name, kind, value)
		}
	}
	for name := range fields {
		require.True(t, open || types[name] != "", "%s: the SDK does not know %s", where, name)
	}
}

func isA(value any, kind string) bool {
	switch v := value.(type) {
	case string:
		return kind == "string"
	case float64:
		return kind == "number"
	case bool:
		return kind == "boolean"
	case map[string]any:
		return kind == "object"
	case []any:
		for _, e := range v {
			if _, ok := e.(string); !ok && kind == "strings" {
				return false
			}
		}
		return kind == "array" || kind == "strings"
	}
	return false
}
