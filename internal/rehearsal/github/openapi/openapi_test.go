package openapi_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/github/openapi"
)

const repository = "https://api.github.com/repos/o/r"

func read(t *testing.T) *openapi.Description {
	t.Helper()
	d, err := openapi.Read()
	require.NoError(t, err)
	require.Contains(t, d.Source, "OpenAPI description, version")
	return d
}

func TestRequestsThatDoNotFit(t *testing.T) {
	t.Parallel()
	d := read(t)
	for name, tc := range map[string]struct {
		method, path, body string
		want               []string
	}{
		"a list":               {"GET", "/releases?per_page=30&page=2", "", nil},
		"a query of no number": {"GET", "/releases?per_page=all", "", []string{`query per_page: "all" is not an integer`}},
		"an unknown query":     {"GET", "/tags?per-page=3", "", []string{"query per-page is not known"}},
		"a value that is none": {"GET", "/pulls?state=opened", "",
			[]string{`query state: "opened" is not one of [open closed all]`}},
		"an upload without name": {"POST", "/releases/1/assets", "x", []string{"query name is missing"}},
		"a release":              {"POST", "/releases", `{"tag_name":"v1","draft":true}`, nil},
		"a release of no tag":    {"POST", "/releases", `{"draft":true}`, []string{"tag_name is missing"}},
		"a boolean for a string": {"PATCH", "/releases/1", `{"make_latest":true}`,
			[]string{"make_latest: true does not fit string [true false legacy]"}},
		"another value": {"PATCH", "/releases/1", `{"make_latest":"yes"}`,
			[]string{"make_latest: yes does not fit string [true false legacy]"}},
		"an unknown field": {"POST", "/git/refs", `{"ref":"a","sha":"b","key":"c"}`, []string{"key is not known"}},
		"deep in a list": {"POST", "/git/trees", `{"tree":[{"path":"a","mode":"777"}]}`,
			[]string{"tree[0].mode: 777 does not fit string [100644 100755 040000 160000 120000]"}},
		"no body":                 {"POST", "/git/refs", "", []string{"there is no body"}},
		"a path with slashes":     {"PUT", "/contents/a/b/c.json", `{"message":"m"}`, []string{"content is missing"}},
		"what is no JSON":         {"POST", "/releases", "{", nil},
		"an operation unknown":    {"POST", "/nothing", "{}", nil},
		"literal before variable": {"GET", "/releases/latest?x=1", "", []string{"query x is not known"}},
	} {
		r := httptest.NewRequest(tc.method, repository+tc.path, nil)
		require.Equal(t, tc.want, d.Request(r, []byte(tc.body)), name)
	}
}

func TestAnswersThatDoNotFit(t *testing.T) {
	t.Parallel()
	d := read(t)
	for name, tc := range map[string]struct {
		path   string
		status int
		body   string
		want   []string
	}{
		"an empty list": {"/tags", http.StatusOK, "[]", nil},
		"a field too few": {"/git/ref/tags/v1", http.StatusOK, `{"ref":"a","node_id":"b","url":"c"}`,
			[]string{"object is missing"}},
		"no list":                {"/tags", http.StatusOK, `{}`, []string{"it: map[] does not fit array []"}},
		"null":                   {"/git/ref/tags/v1", http.StatusOK, "null", []string{"it is null"}},
		"a status of no success": {"/tags", http.StatusAccepted, "[]", []string{"status 202 is not described"}},
		"a refusal":              {"/tags", http.StatusForbidden, `{"message":"no","documentation_url":"d"}`, nil},
		"a refusal of nothing": {"/tags", http.StatusForbidden, `{"documentation_url":"d"}`,
			[]string{"message is missing"}},
		"a page for a refusal": {"/tags", http.StatusForbidden, "<html>",
			[]string{"no JSON: invalid character '<' looking for beginning of value"}},
		"no body at all": {"/releases/assets/1", http.StatusFound, "", nil},
	} {
		r := httptest.NewRequest(http.MethodGet, repository+tc.path, nil)
		require.Equal(t, tc.want, d.Answer(r, tc.status, []byte(tc.body)), name)
	}
}
