package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const workflow = ".github/workflows/ci.yaml"

// moved is a world whose default branch has other workflow files by now than
// the commit sha, which tag v1 names.
func moved(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, t.TempDir())
	_, err := w.server.Merge("ci: more", map[string][]byte{workflow: []byte("on: push\n")})
	require.NoError(t, err)
	return w
}

func TestTargetWithOtherWorkflows(t *testing.T) {
	t.Parallel()
	w := moved(t)
	job, all := w.job(permissions{"contents": "write"}), w.job(permissions{"contents": "write", "actions": "write"})
	fine, err := w.server.FineGrainedToken(permissions{"contents": "write"})
	require.NoError(t, err)
	repo, err := w.server.ClassicToken("repo")
	require.NoError(t, err)
	able, err := w.server.FineGrainedToken(permissions{"contents": "write", "workflows": "write"})
	require.NoError(t, err)
	target := `"target_commitish":"` + sha + `",`
	drafted := w.owner("POST", api+"releases", `{`+target+`"tag_name":"v1","draft":true}`)
	require.Equal(t, http.StatusCreated, drafted.status)
	at := fmt.Sprintf("%sreleases/%.0f", api, drafted.json(t)["id"])
	for name, tc := range map[string]struct {
		token   string
		refused int
	}{
		"a job": {job, 403}, "a job with everything": {all, 403}, "a fine-grained token": {fine, 403},
		"a classic token": {repo, 404}, "a token for workflows": {able, 0}, "scope workflow": {token, 0},
	} {
		for what, r := range map[string]reply{
			"create": w.as(tc.token, "POST", api+"releases", `{`+target+`"tag_name":"v1","draft":true}`),
			"edit":   w.as(tc.token, "PATCH", at, `{"body":"other notes"}`),
			"ref": w.as(tc.token, "POST", api+"git/refs",
				`{"ref":"refs/heads/`+strings.ReplaceAll(name, " ", "-")+`","sha":"`+sha+`"}`),
		} {
			if tc.refused == 0 {
				require.Less(t, r.status, 300, "%s, %s: %s", name, what, r.body)
				continue
			}
			require.Equal(t, tc.refused, r.status, "%s, %s: %s", name, what, r.body)
		}
		for _, free := range []string{"", `"target_commitish":"main",`} {
			r := w.as(tc.token, "POST", api+"releases", `{`+free+`"tag_name":"v1","draft":true}`)
			require.Equal(t, http.StatusCreated, r.status, "%s, the default branch: %s", name, r.body)
			require.Equal(t, "main", r.json(t)["target_commitish"])
		}
	}
}

// Where the workflow files are the same, the target is free.
func TestTargetWithTheSameWorkflows(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	_, err := w.server.Merge("docs: more", map[string][]byte{"docs/a.md": []byte("# A\n")})
	require.NoError(t, err)
	r := w.as(w.job(permissions{"contents": "write"}), "POST", api+"releases",
		`{"target_commitish":"`+sha+`","tag_name":"v1","draft":true}`)
	require.Equal(t, http.StatusCreated, r.status, "%s", r.body)
}

func TestNoJobChangesWorkflowFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	job := w.job(permissions{"contents": "write"})
	tree := `{"tree":[{"path":"` + workflow + `","mode":"100644","type":"blob","content":"on: push\n"}]}`
	file := `{"message":"m","content":"e30=","branch":"main"}`
	require.Equal(t, http.StatusForbidden, w.as(job, "POST", api+"git/trees", tree).status)
	require.Equal(t, http.StatusForbidden, w.as(job, "PUT", api+"contents/"+workflow, file).status)
	require.Equal(t, http.StatusCreated, w.owner("POST", api+"git/trees", tree).status)
	require.Equal(t, http.StatusCreated, w.owner("PUT", api+"contents/"+workflow, file).status)
}
