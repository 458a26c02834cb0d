package github_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// The client that production uses sends what GitHub's description allows, and nothing else.
func TestTheClientsRequestsFitGitHubsDescription(t *testing.T) {
	t.Parallel()
	s, err := rehearsal.New(rehearsal.Options{Dir: t.TempDir(), Repository: repository, Token: token})
	require.NoError(t, err)
	require.NoError(t, s.Push("refs/heads/main", sha, map[string][]byte{"c.json": []byte("{}\n")}))
	seen := map[string]bool{}
	record := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen[fmt.Sprintf("%s %s", r.Method, strings.Split(strings.TrimPrefix(r.URL.Path, "/repos/"+repository+"/"),
			"/")[0])] = true
		s.ServeHTTP(w, r)
	})
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(t, n.Handle(host, record))
	}
	c, err := github.New(github.Options{Repository: repository, Token: token, Transport: n.Transport()})
	require.NoError(t, err)

	require.NoError(t, s.Push("refs/tags/v1", sha, nil))
	rel, err := c.CreateDraft(t.Context(), github.Draft{Tag: "v1", Title: "One", Notes: "notes"})
	require.NoError(t, err)
	_, err = c.Upload(t.Context(), rel, github.File{Name: "a", Size: 1, ContentType: "text/plain",
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader([]byte("x"))), nil }})
	require.NoError(t, err)
	no, yes, text := false, true, "text"
	_, err = c.Update(t.Context(), rel.ID, github.Patch{Draft: &no, Prerelease: &yes, MakeLatest: "false", Name: &text,
		Body: &text})
	require.NoError(t, err)
	_, err = c.Propose(t.Context(), github.Change{Base: "main", Branch: "b", Path: "c.json", Content: []byte("[]\n"),
		Message: "m", Title: "t", Body: "b"})
	require.NoError(t, err)
	several := github.Change{Base: "main", Branch: "several",
		Files:   map[string][]byte{"c.json": []byte("[1]\n"), "d/e.json": []byte("{}\n")},
		Message: "m", Title: "t", Body: "b", Labels: []string{"one"}}
	_, err = c.Propose(t.Context(), several)
	require.NoError(t, err)
	several.Files["c.json"] = []byte("[2]\n")
	_, err = c.Propose(t.Context(), several)
	require.NoError(t, err)
	require.NoError(t, c.SetStatus(t.Context(), sha, github.CommitStatus{Context: "c", State: github.StatusError,
		Description: "d", TargetURL: "https://github.com/x"}))
	for _, request := range []string{"POST statuses", "POST git", "PATCH git", "POST releases", "PATCH releases",
		"PUT contents", "POST pulls", "POST issues"} {
		require.True(t, seen[request], request)
	}
}
