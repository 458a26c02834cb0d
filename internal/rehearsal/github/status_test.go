package github_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestStatusesOfCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	url := api + "statuses/" + sha
	auditor := w.job(permissions{"contents": "read", "statuses": "write"})
	said := func(fields string) string { return `{"state":"failure","context":"release-auditor"` + fields + `}` }

	got := w.as(auditor, "POST", url, said(`,"description":"bad","target_url":"https://github.com/o/r/actions/runs/1"`))
	require.Equal(t, http.StatusCreated, got.status, "%s", got.body)
	require.Equal(t, "release-auditor", got.json(t)["context"])
	require.Equal(t, "bad", got.json(t)["description"])
	longest := said(`,"description":"` + strings.Repeat("ä", 140) + `"`)
	require.Equal(t, http.StatusCreated, w.as(auditor, "POST", url, longest).status)

	for name, tc := range map[string]struct{ url, body, says string }{
		"a commit that is not there": {api + "statuses/" + strings.Repeat("e", 40), said(""), "No commit found"},
		"a branch":                   {api + "statuses/main", said(""), "No commit found"},
		"a long description":         {url, said(`,"description":"` + strings.Repeat("a", 141) + `"`), "maximum is 140"},
		"no address":                 {url, said(`,"target_url":"dist/report.html"`), "http(s)"},
		"no state":                   {url, `{"context":"release-auditor"}`, "state"},
		"another state":              {url, `{"state":"bad"}`, "state"},
	} {
		refused := w.as(auditor, "POST", tc.url, tc.body)
		require.Equal(t, http.StatusUnprocessableEntity, refused.status, name)
		require.Contains(t, string(refused.body), tc.says, name)
	}
	require.Equal(t, http.StatusForbidden, w.as(w.job(permissions{"contents": "write"}), "POST", url, said("")).status)
}
