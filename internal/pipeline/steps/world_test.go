package steps_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

const (
	token  = "token"
	commit = "0123456789abcdef0123456789abcdef01234567"
)

// world is a release over a local GitHub; nothing else answers.
type world struct {
	*steps.Release
	log    *bytes.Buffer
	github *local.Server
}

func open(t *testing.T, tag string) *world {
	t.Helper()
	w := &world{log: &bytes.Buffer{}}
	parsed, err := release.ParseTag(tag)
	require.NoError(t, err)
	dist := t.TempDir()
	w.github, err = local.New(local.Options{Dir: filepath.Join(dist, "github"), Repository: config.DefaultRepository,
		Token: token})
	require.NoError(t, err)
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range local.Hosts() {
		require.NoError(t, n.Handle(host, w.github))
	}
	require.NoError(t, w.github.Push("refs/tags/"+tag, commit, nil))
	cfg, err := config.Load(func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	cfg.KMSVersion, cfg.TEEVersion = release.Version{Major: 1}, release.Version{Major: 2}
	env := &environment.Environment{Settings: environment.Settings{Config: cfg, Root: filepath.Join("..", "..", ".."),
		Dist: dist, Transport: n.Transport(), GitHubToken: token,
		Checkout: func(context.Context, release.Tag) (*environment.Checkout, error) {
			return &environment.Checkout{Commit: commit, Time: time.Unix(0, 0), Policies: filepath.Join(dist, "policies"),
				HostTCB: filepath.Join("..", "..", "..", tcb.HostFile),
				Catalog: filepath.Join(dist, "catalog.json"), Notes: filepath.Join(dist, "notes")}, nil
		},
		Trust: func(context.Context) (root.TrustedMaterial, error) { return nil, os.ErrNotExist }}}
	w.Release, err = steps.Open(t.Context(), env, parsed, console.New(w.log, false))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.Close()) })
	return w
}

// impatient lets the release's client wait for nothing.
func (w *world) impatient(t *testing.T) {
	t.Helper()
	var err error
	w.GitHub, err = github.New(github.Options{Repository: config.DefaultRepository, Token: token,
		Transport: w.Env.Transport, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	require.NoError(t, err)
}

// draft makes a draft of the release's tag with the files.
func (w *world) draft(t *testing.T, files map[string]string) *github.Release {
	t.Helper()
	draft, err := w.GitHub.CreateDraft(t.Context(),
		github.Draft{Tag: w.Tag.String(), Title: w.Tag.String(), Notes: "Built from commit " + commit + ".\n"})
	require.NoError(t, err)
	for name, text := range files {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		sum, size, err := digest.OfFile(path)
		require.NoError(t, err)
		_, err = w.GitHub.Upload(t.Context(), draft, github.File{Name: name, Size: size, Digest: sum.String(),
			ContentType: "application/json", Open: func() (io.ReadCloser, error) { return os.Open(path) }})
		require.NoError(t, err)
	}
	return draft
}

// stage writes an asset.
func (w *world) stage(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(w.Assets(), name), []byte(text), 0o600))
}
