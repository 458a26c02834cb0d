package github_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// description is the part of GitHub's OpenAPI description that testdata/openapi.json records.
type description struct {
	Source  string
	Schemas map[string]struct {
		Required   []string
		Properties map[string]property
	}
	Requests map[string]struct {
		Required   []string
		Properties map[string]property
	}
}

type property struct {
	Type     string
	Nullable bool
	Enum     []string
}

func readDescription(t *testing.T) description {
	t.Helper()
	data, err := os.ReadFile("testdata/openapi.json")
	require.NoError(t, err)
	var d description
	require.NoError(t, json.Unmarshal(data, &d))
	return d
}

func (p property) admits(v any) bool {
	switch v := v.(type) {
	case nil:
		return p.Nullable
	case string:
		return p.Type == "string" && (p.Enum == nil || slices.Contains(p.Enum, v))
	case bool:
		return p.Type == "boolean"
	case float64:
		return p.Type == "integer" && v == float64(int64(v)) || p.Type == "number"
	case []any:
		return p.Type == "array"
	case map[string]any:
		return p.Type == "object"
	}
	return false
}

func (d description) check(t *testing.T, schema string, got map[string]any) {
	t.Helper()
	s, known := d.Schemas[schema]
	require.True(t, known, schema)
	for _, name := range s.Required {
		require.Contains(t, got, name, "%s lacks a required field", schema)
	}
	for name, v := range got {
		p, known := s.Properties[name]
		if name == "status" && schema == "validation-error" {
			continue // sent by GitHub, absent from its description
		}
		require.True(t, known, "%s has a field %q that GitHub's has not", schema, name)
		require.True(t, p.Type == "any" || p.admits(v), "%s.%s: %v does not fit %+v", schema, name, v, p)
	}
}

func TestAnswersFitGitHubsDescription(t *testing.T) {
	t.Parallel()
	w, d := newWorld(t, t.TempDir()), readDescription(t)
	rel, asset := w.draft("v2")
	at := fmt.Sprintf("%sreleases/%d", api, rel)
	check := func(schema string, r reply) map[string]any {
		t.Helper()
		require.Less(t, r.status, 300, "%s", r.body)
		got := r.json(t)
		d.check(t, schema, got)
		return got
	}
	first := func(schema string, r reply) {
		t.Helper()
		var list []map[string]any
		require.NoError(t, json.Unmarshal(r.body, &list), "%s", r.body)
		require.NotEmpty(t, list)
		d.check(t, schema, list[0])
	}
	got := check("release", w.owner("GET", at, "")) // a draft
	d.check(t, "simple-user", got["author"].(map[string]any))
	check("release", w.owner("PATCH", at, `{"draft":false}`))
	first("release", w.do("GET", api+"releases", ""))
	check("release", w.do("GET", api+"releases/tags/v2", ""))
	check("release-asset", w.do("GET", fmt.Sprintf("%sreleases/assets/%d", api, asset), ""))
	first("release-asset", w.do("GET", at+"/assets", ""))
	first("tag", w.do("GET", api+"tags", ""))
	check("git-ref", w.do("GET", api+"git/ref/tags/v1", ""))
	check("git-ref", w.owner("POST", api+"git/refs", `{"ref":"refs/heads/change","sha":"`+sha+`"}`))
	tag := check("git-tag", w.owner("POST", api+"git/tags",
		`{"tag":"v3","message":"m","object":"`+sha+`","type":"commit"}`))
	check("git-tag", w.do("GET", api+"git/tags/"+tag["sha"].(string), ""))
	file := check("content-file", w.do("GET", api+"contents/catalog/c.json?ref=change", ""))
	check("file-commit", w.owner("PUT", api+"contents/catalog/c.json",
		`{"message":"m","content":"e30=","branch":"change","sha":"`+file["sha"].(string)+`"}`))
	check("file-commit", w.owner("PUT", api+"contents/new.json", `{"message":"m","content":"e30=","branch":"change"}`))
	parent := w.do("GET", api+"git/ref/heads/change", "").json(t)["object"].(map[string]any)["sha"].(string)
	on := check("git-commit", w.do("GET", api+"git/commits/"+parent, ""))["tree"].(map[string]any)["sha"].(string)
	tree := check("git-tree", w.owner("POST", api+"git/trees",
		`{"base_tree":"`+on+`","tree":[{"path":"a/b.json","mode":"100644","type":"blob","content":"{}"}]}`))
	made := check("git-commit", w.owner("POST", api+"git/commits",
		`{"message":"m","tree":"`+tree["sha"].(string)+`","parents":["`+parent+`"]}`))
	check("git-ref", w.owner("PATCH", api+"git/refs/heads/change", `{"sha":"`+made["sha"].(string)+`"}`))
	pr := check("pull-request", w.owner("POST", api+"pulls", `{"title":"t","head":"change","base":"main"}`))
	first("label", w.owner("POST", fmt.Sprintf("%sissues/%.0f/labels", api, pr["number"]), `{"labels":["one"]}`))
	first("pull-request-simple", w.do("GET", api+"pulls?state=open&head=calimero-network:change", ""))
	d.check(t, "validation-error", w.owner("POST", api+"releases", `{}`).json(t))
}

// GitHub's description writes {path} for what may hold slashes.
var severalSegments = strings.NewReplacer("{path}", "{path...}", "{ref}", "{ref...}")

// spy checks the requests that pass against the description, for clients' tests.
func (d description) spy(t *testing.T, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux := http.NewServeMux()
		for pattern, body := range d.Requests {
			pattern = severalSegments.Replace(pattern)
			mux.HandleFunc(pattern, func(_ http.ResponseWriter, r *http.Request) {
				d.checkRequest(t, pattern, body.Required, body.Properties, r)
			})
		}
		if _, pattern := mux.Handler(r); pattern != "" && r.Host == "api.github.com" {
			mux.ServeHTTP(nil, r)
		}
		next.ServeHTTP(w, r)
	})
}

func (d description) checkRequest(t *testing.T, name string, required []string, properties map[string]property,
	r *http.Request) {
	var raw bytes.Buffer
	_, err := raw.ReadFrom(r.Body)
	var in map[string]any
	if err != nil || json.Unmarshal(raw.Bytes(), &in) != nil {
		t.Errorf("%s: no JSON: %q", name, raw.Bytes())
	}
	for _, field := range required {
		if _, sent := in[field]; !sent {
			t.Errorf("%s lacks %s", name, field)
		}
	}
	for field, v := range in {
		if !properties[field].admits(v) {
			t.Errorf("%s: %s = %v does not fit %+v", name, field, v, properties[field])
		}
	}
	r.Body = struct {
		*bytes.Reader
		nopCloser
	}{bytes.NewReader(raw.Bytes()), nopCloser{}}
}

type nopCloser struct{}

func (nopCloser) Close() error { return nil }
