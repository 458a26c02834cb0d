package github_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// foreign makes a draft as somebody else does, with a target, and returns its id.
func (w *world) foreign(body string) int64 {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost,
		"https://api.github.com/repos/"+repository+"/releases",
		strings.NewReader(body))
	require.NoError(w.t, err)
	req.Header.Set("Authorization", "token "+token)
	req.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	resp, err := w.transport.RoundTrip(req)
	require.NoError(w.t, err)
	defer resp.Body.Close()
	var b bytes.Buffer
	_, err = b.ReadFrom(resp.Body)
	require.NoError(w.t, err)
	require.Less(w.t, resp.StatusCode, 300, b.String())
	var made struct{ ID int64 }
	require.NoError(w.t, json.Unmarshal(b.Bytes(), &made))
	return made.ID
}

// A draft is made without a target: where the default branch's workflow files
// are other ones than the tag's, a target would be refused to a job.
func TestADraftHasNoTarget(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	require.NoError(t, w.server.Push("refs/tags/v1", commit, nil))
	_, err := w.server.Merge("ci: later", map[string][]byte{".github/workflows/ci.yaml": []byte("on: push\n")})
	require.NoError(t, err)
	job, err := w.server.JobToken(map[string]string{"contents": "write"})
	require.NoError(t, err)
	made := w.draft(w.client(job), "v1")
	title := "other"
	_, err = w.client(job).Update(t.Context(), made.ID, github.Patch{Name: &title})
	require.NoError(t, err)
}

// What GitHub refuses for workflow files it does not name; we do.
func TestARefusalForWorkflowFilesIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	require.NoError(t, w.server.Push("refs/tags/v1", commit, nil))
	_, err := w.server.Merge("ci: later", map[string][]byte{".github/workflows/ci.yaml": []byte("on: push\n")})
	require.NoError(t, err)
	id := w.foreign(`{"tag_name":"v1","target_commitish":"` + commit + `","draft":true}`)
	title := "ours"
	tokens := map[string]int{}
	messages := map[int]string{403: "Resource not accessible by integration", 404: "Not Found"}
	job, err := w.server.JobToken(map[string]string{"contents": "write"})
	require.NoError(t, err)
	tokens[job] = http.StatusForbidden
	classic, err := w.server.ClassicToken("repo")
	require.NoError(t, err)
	tokens[classic] = http.StatusNotFound
	for token, status := range tokens {
		_, err = w.client(token).Update(t.Context(), id, github.Patch{Name: &title})
		var told *fault.Error
		require.ErrorAs(t, err, &told)
		require.Equal(t, fault.General, told.Code)
		require.Contains(t, told.Expected, "workflow files of the default branch")
		require.Equal(t, messages[status], told.Got)
		require.Contains(t, told.Hint, ".github/workflows")
	}
}

// A token that may not write contents is refused in words that name what is missing.
func TestARefusalNamesThePermission(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	job, err := w.server.JobToken(map[string]string{"contents": "read", "pull-requests": "write"})
	require.NoError(t, err)
	_, err = w.client(job).CreateDraft(t.Context(), github.Draft{Tag: "v1"})
	require.ErrorContains(t, err, "Resource not accessible by integration")
	_, err = w.client(job).Share(t.Context(), change())
	var told *fault.Error
	require.ErrorAs(t, err, &told)
	require.Equal(t, "contents: write", told.Expected)
	require.Contains(t, told.Hint, "permissions:")
	require.NotEmpty(t, told.Got)
}
