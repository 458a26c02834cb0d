package gce_test

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/discovery"
)

func readDescription(t *testing.T) *discovery.Document {
	t.Helper()
	d, err := discovery.Compute()
	require.NoError(t, err)
	return d
}

// spy checks all that passes, both ways, against the vendor's description, and
// counts the methods. What the tests send wrong on purpose is answered 400 and may
// leave the description.
func (w *world) spy(next http.Handler) http.Handler {
	d := readDescription(w.T)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		recorded := &recorder{ResponseWriter: rw, status: http.StatusOK}
		next.ServeHTTP(recorded, r)
		if recorded.status != http.StatusOK {
			if err := discovery.CheckError(recorded.status, recorded.body.Bytes()); err != nil {
				w.Error(err)
			}
			return
		}
		if r.Host == "cloudresourcemanager.googleapis.com" {
			return
		}
		name, err := d.CheckRequest(r, body)
		if err == nil {
			err = d.CheckAnswer(name, recorded.body.Bytes())
		}
		if err != nil {
			w.Error(err)
		}
		w.saw(name)
	})
}

type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

func (r *recorder) WriteHeader(status int) { r.status = status; r.ResponseWriter.WriteHeader(status) }
func (r *recorder) Write(b []byte) (int, error) {
	r.body.Write(b)
	return r.ResponseWriter.Write(b)
}

var braces = regexp.MustCompile(`\{[^}]*\}`)

func TestEachCallIsTheVendors(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), readDescription(t)
	calls := w.server.Calls()
	require.Len(t, calls, len(d.Methods), "the description holds what is served")
	for name, route := range calls {
		verb, path, _ := strings.Cut(route, " ")
		m := d.Methods[name]
		require.Equal(t, m.HTTPMethod+" "+braces.ReplaceAllString(m.Path, "{}"),
			verb+" "+braces.ReplaceAllString("projects/{project}"+path, "{}"), name)
	}
}
