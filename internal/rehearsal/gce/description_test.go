package gce_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// description is the vendor's own of compute/v1, of the module this repository builds with.
type description struct {
	Parameters map[string]schema
	Resources  map[string]struct{ Methods map[string]method }
	Schemas    map[string]schema
}

type method struct {
	ID, HTTPMethod, Path, FlatPath string
	Parameters                     map[string]schema
	Request, Response              schema
}

type schema struct {
	Ref                  string `json:"$ref"`
	Type, Format         string
	Pattern, Location    string
	Required             bool
	Enum                 []string
	Properties           map[string]schema
	Items                *schema
	AdditionalProperties *schema
}

var theDescription = sync.OnceValues(func() (*description, error) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "google.golang.org/api").Output()
	if err != nil {
		return nil, err
	}
	data, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "compute", "v1", "compute-api.json"))
	if err != nil {
		return nil, err
	}
	d := &description{}
	return d, json.Unmarshal(data, d)
})

func readDescription(t *testing.T) *description {
	t.Helper()
	d, err := theDescription()
	require.NoError(t, err)
	return d
}

// fits says where a JSON value leaves its schema.
func (d *description) fits(s schema, v any, at string) error {
	if s.Ref != "" {
		s = d.Schemas[s.Ref]
	}
	switch v := v.(type) {
	case nil:
		return nil
	case map[string]any:
		return d.objectFits(s, v, at)
	case []any:
		if s.Type != "array" {
			return fmt.Errorf("%s is a list", at)
		}
		for i, item := range v {
			if err := d.fits(*s.Items, item, fmt.Sprintf("%s[%d]", at, i)); err != nil {
				return err
			}
		}
		return nil
	}
	return scalarFits(s, v, at)
}

func (d *description) objectFits(s schema, v map[string]any, at string) error {
	if s.Type != "object" {
		return fmt.Errorf("%s is an object", at)
	}
	for key, value := range v {
		p, ok := s.Properties[key]
		if !ok && s.AdditionalProperties != nil {
			p, ok = *s.AdditionalProperties, true
		}
		if !ok {
			return fmt.Errorf("%s.%s is unknown", at, key)
		}
		if err := d.fits(p, value, at+"."+key); err != nil {
			return err
		}
	}
	return nil
}

var digits = regexp.MustCompile(`^-?[0-9]+$`)

func scalarFits(s schema, v any, at string) error {
	ok := false
	switch v := v.(type) {
	case string:
		ok = s.Type == "string" && (s.Enum == nil || slices.Contains(s.Enum, v))
		if s.Format == "int64" || s.Format == "uint64" {
			ok = ok && digits.MatchString(v)
		}
		if s.Pattern != "" {
			ok = ok && regexp.MustCompile("^(?:"+s.Pattern+")$").MatchString(v)
		}
	case float64:
		ok = s.Type == "integer" && v == float64(int64(v)) || s.Type == "number"
	case bool:
		ok = s.Type == "boolean"
	}
	if !ok {
		return fmt.Errorf("%s: %v does not fit %+v", at, v, s)
	}
	return nil
}

// find gives the method that a request calls, with its path's parameters.
func (d *description) find(r *http.Request) (method, map[string]string, bool) {
	path, ok := strings.CutPrefix(r.URL.Path, "/compute/v1/")
	parts := strings.Split(path, "/")
	var best method
	var named map[string]string
	for _, resource := range d.Resources {
		for _, m := range resource.Methods {
			values, fits := match(m.Path, parts)
			if ok && fits && m.HTTPMethod == r.Method && (named == nil || len(values) < len(named)) {
				best, named = m, values
			}
		}
	}
	return best, named, named != nil
}

func match(pattern string, parts []string) (map[string]string, bool) {
	want := strings.Split(pattern, "/")
	values := map[string]string{}
	if len(want) != len(parts) {
		return nil, false
	}
	for i, w := range want {
		if name, ok := strings.CutPrefix(w, "{"); ok {
			values[strings.TrimSuffix(name, "}")] = parts[i]
		} else if w != parts[i] {
			return nil, false
		}
	}
	return values, true
}

// checkRequest says what the vendor's description forbids of a request.
func (d *description) checkRequest(m method, named map[string]string, r *http.Request, body []byte) error {
	for name, value := range named {
		if err := scalarFits(m.Parameters[name], value, name); err != nil {
			return err
		}
	}
	for name := range r.URL.Query() {
		if m.Parameters[name].Location != "query" && d.Parameters[name].Location != "query" {
			return fmt.Errorf("%s has no parameter %s", m.ID, name)
		}
	}
	if m.Request.Ref == "" {
		return nil
	}
	var in any
	if err := json.Unmarshal(body, &in); err != nil {
		return err
	}
	return d.fits(m.Request, in, m.ID)
}

// spy checks all that passes, both ways, and counts the methods. What the tests
// send wrong on purpose is answered 400 and may leave the description.
func (w *world) spy(next http.Handler) http.Handler {
	d := readDescription(w.T)
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		recorded := &recorder{ResponseWriter: rw, status: http.StatusOK}
		next.ServeHTTP(recorded, r)
		m, named, ok := d.find(r)
		if recorded.status != http.StatusOK {
			w.checkError(recorded)
			return
		}
		var out any
		if r.Host == "cloudresourcemanager.googleapis.com" {
			return
		}
		if !ok || json.Unmarshal(recorded.body.Bytes(), &out) != nil {
			w.Errorf("%s %s is no method, or has no JSON for an answer", r.Method, r.URL.Path)
			return
		}
		if err := d.checkRequest(m, named, r, body); err != nil {
			w.Errorf("request: %v", err)
		}
		if err := d.fits(m.Response, out, m.ID); err != nil {
			w.Errorf("answer: %v", err)
		}
		w.saw(strings.TrimPrefix(m.ID, "compute."))
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

// checkError holds an error against the form that both clients parse.
func (w *world) checkError(r *recorder) {
	var out struct {
		Error struct {
			Code    int
			Message string
			Errors  []struct{ Message, Domain, Reason string }
		}
	}
	dec := json.NewDecoder(&r.body)
	dec.DisallowUnknownFields()
	err := dec.Decode(&out)
	if err != nil || out.Error.Code != r.status || len(out.Error.Errors) != 1 || out.Error.Errors[0].Reason == "" {
		w.Errorf("not an error of the API: %v %+v", err, out)
	}
}

var braces = regexp.MustCompile(`\{[^}]*\}`)

func TestEachCallIsTheVendors(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t), readDescription(t)
	known := map[string]string{}
	for _, resource := range d.Resources {
		for _, m := range resource.Methods {
			known[strings.TrimPrefix(m.ID, "compute.")] = m.HTTPMethod + " " + braces.ReplaceAllString(m.Path, "{}")
		}
	}
	for name, route := range w.server.Calls() {
		verb, path, _ := strings.Cut(route, " ")
		require.Equal(t, known[name], verb+" "+braces.ReplaceAllString("projects/{project}"+path, "{}"), name)
	}
	require.Error(t, d.fits(schema{Ref: "Instance"}, map[string]any{"status": "DANCING"}, ""), "the check can fail")
	require.Error(t, d.fits(schema{Ref: "Instance"}, map[string]any{"colour": "red"}, ""))
	require.Error(t, d.fits(schema{Ref: "Instance"}, map[string]any{"id": 7.0}, ""))
}
