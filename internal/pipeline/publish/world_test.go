package publish_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline/publish"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	repository = "calimero-network/mero-tee"
	token      = "ghs_very_secret_token" // of the repository's owner
)

var commit = strings.Repeat("a", 40)

// approval is the section of who approved a promotion.
const approval = "## Approval\n\n- approved by ben\n"

// world is a GitHub on disk that outlives the publishers that are killed at it.
// Its default branch has other workflow files by now than the commit that is
// released, and who publishes is a workflow's job.
type world struct {
	t      *testing.T
	dir    string
	server *rehearsal.Server
	token  string
}

func newWorld(t *testing.T, change ...func(*rehearsal.Options)) *world {
	t.Helper()
	w := &world{t: t, dir: t.TempDir()}
	o := rehearsal.Options{Dir: w.dir, Repository: repository, Token: token}
	for _, f := range change {
		f(&o)
	}
	s, err := rehearsal.New(o)
	require.NoError(t, err)
	w.server = s
	require.NoError(t, s.Push("refs/heads/main", commit, map[string][]byte{}))
	w.push(plan(t).Tag)
	_, err = s.Merge("ci: later", map[string][]byte{".github/workflows/ci.yaml": []byte("on: push\n")})
	require.NoError(t, err)
	w.token, err = s.JobToken(map[string]string{"contents": "write"})
	require.NoError(t, err)
	return w
}

// prompt is a GitHub whose reads are never late.
func prompt(o *rehearsal.Options) { o.Prompt = true }

// push makes a tag at the commit.
func (w *world) push(tag release.Tag) {
	w.t.Helper()
	require.NoError(w.t, w.server.Push("refs/tags/"+tag.String(), commit, nil))
}

// untag deletes a tag, which no ruleset of this repository forbids.
func (w *world) untag(tag release.Tag) {
	w.t.Helper()
	r := httptest.NewRequest(http.MethodDelete,
		"https://api.github.com/repos/"+repository+"/git/refs/tags/"+tag.String(), nil)
	r.Header.Set("Authorization", "token "+token)
	r.Header.Set("User-Agent", "a person's")
	r.Header.Set("X-GitHub-Api-Version", "2022-11-28")
	answer := httptest.NewRecorder()
	w.server.ServeHTTP(answer, r)
	require.Equal(w.t, http.StatusNoContent, answer.Code, answer.Body.String())
}

// noted are notes as they are published.
func noted(notes, commit string) string {
	return strings.TrimRight(notes, "\n") + "\n\nBuilt from commit " + commit + ".\n"
}

// approved are notes as they are after the promotion.
func approved(notes, commit string) string {
	return strings.TrimRight(notes, "\n") + "\n\n" + approval + "\nBuilt from commit " + commit + ".\n"
}

// run is one life of a publisher; its journal is kept.
type run struct {
	*publish.Publisher
	events []string
	full   error           // of the disk that the journal is on
	pauses []time.Duration // between attempts; none is waited for
}

func (w *world) run(fault func(http.Handler) http.Handler) *run {
	w.t.Helper()
	var h http.Handler = w.server
	if fault != nil {
		h = fault(h)
	}
	n := network.New()
	w.t.Cleanup(func() { require.NoError(w.t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(w.t, n.Handle(host, h))
	}
	r := &run{}
	c, err := github.New(github.Options{Repository: repository, Token: w.token, Transport: n.Transport(),
		Wait: func(ctx context.Context, d time.Duration) error { r.pauses = append(r.pauses, d); return ctx.Err() }})
	require.NoError(w.t, err)
	r.Publisher = &publish.Publisher{GitHub: c, Journal: func(e journal.Entry) error {
		r.events = append(r.events, e.String())
		if strings.Contains(fmt.Sprint(e, e.Err), w.token) {
			w.t.Errorf("the token is in the journal: %v", e)
		}
		return r.full
	}}
	return r
}

// plan stages two assets of a stable release.
func plan(t *testing.T) publish.Plan {
	t.Helper()
	p := publish.Plan{Tag: release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2}}, Commit: commit,
		Title: "mero-kms 1.2.0", Notes: "# Notes\n\n- one\n- two \u2014 \u200b\n", Dir: t.TempDir(),
		Names: []string{"a.json", "checksums.sha256"}}
	for _, name := range p.Names {
		require.NoError(t, os.WriteFile(filepath.Join(p.Dir, name), []byte("content of "+name+"\n"), 0o644))
	}
	return p
}

// all does the three moves.
func (r *run) all(ctx context.Context, p publish.Plan) (*github.Release, error) {
	rel, _, err := r.Fill(ctx, p)
	if err != nil {
		return nil, err
	}
	audited := publish.Digests(rel)
	if rel, err = r.MakePublic(ctx, rel); err != nil {
		return nil, err
	}
	return r.Promote(ctx, rel, audited, approval)
}

func opener(path string) func() (io.ReadCloser, error) {
	return func() (io.ReadCloser, error) { return os.Open(path) }
}
