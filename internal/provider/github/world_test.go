package github_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

const (
	repository = "calimero-network/mero-tee"
	token      = "ghs_very_secret_token"
)

var commit = strings.Repeat("a", 40)

// world is a GitHub under production's names, and what clients did to it.
type world struct {
	t         *testing.T
	server    *rehearsal.Server
	transport http.RoundTripper
	mu        sync.Mutex
	requests  []*http.Request // headers as sent
	waits     []time.Duration
}

// newWorld puts wrap, a fault, between the network and the server.
func newWorld(t *testing.T, wrap func(http.Handler) http.Handler, change ...func(*rehearsal.Options)) *world {
	t.Helper()
	o := rehearsal.Options{Dir: t.TempDir(), Repository: repository, Token: token, Prompt: true}
	for _, f := range change {
		f(&o)
	}
	s, err := rehearsal.New(o)
	require.NoError(t, err)
	require.NoError(t, s.Push("refs/heads/main", commit, map[string][]byte{"catalog/c.json": []byte("{}\n")}))
	w := &world{t: t, server: s}
	var h http.Handler = s
	if wrap != nil {
		h = wrap(s)
	}
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(t, n.Handle(host, h))
	}
	w.transport = recording{w, n.Transport()}
	return w
}

type recording struct {
	w    *world
	next http.RoundTripper
}

func (r recording) RoundTrip(req *http.Request) (*http.Response, error) {
	r.w.mu.Lock()
	r.w.requests = append(r.w.requests, req.Clone(context.Background()))
	r.w.mu.Unlock()
	return r.next.RoundTrip(req)
}

// client waits for nothing and notes how long it should have.
func (w *world) client(token string) *github.Client {
	w.t.Helper()
	c, err := github.New(github.Options{Repository: repository, Token: token, Transport: w.transport,
		Wait: func(ctx context.Context, d time.Duration) error {
			w.waits = append(w.waits, d)
			return ctx.Err()
		}})
	require.NoError(w.t, err)
	return c
}

func (w *world) draft(c *github.Client, tag string) *github.Release {
	w.t.Helper()
	r, err := c.CreateDraft(w.t.Context(), github.Draft{Tag: tag, Title: tag, Notes: "notes"})
	require.NoError(w.t, err)
	return r
}

// listsOnly wants a release to be the one that GitHub lists.
func (w *world) listsOnly(c *github.Client, made *github.Release) {
	w.t.Helper()
	all, err := c.Releases(w.t.Context())
	require.NoError(w.t, err)
	require.Len(w.t, all, 1)
	require.Equal(w.t, made.ID, all[0].ID)
}

func file(name, content string) github.File {
	return github.File{Name: name, Size: int64(len(content)), ContentType: "application/json",
		Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil }}
}

// public makes a public release with one asset.
func (w *world) public(tag, name, content string) (*github.Release, github.Asset) {
	w.t.Helper()
	c := w.client(token)
	r := w.draft(c, tag)
	a, err := c.Upload(w.t.Context(), r, file(name, content))
	require.NoError(w.t, err)
	no := false
	_, err = c.Update(w.t.Context(), r.ID, github.Patch{Draft: &no, MakeLatest: "false"})
	require.NoError(w.t, err)
	return r, a
}
