package sigstore_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/release"
)

const toolsDir = "../../../tools"

var identity = signature.Identity{Repository: "calimero-network/mero-tee", Workflow: release.KMS.Workflow(),
	Tag: release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}, Commit: strings.Repeat("a", 40)}

func start(t *testing.T, dir string) *sigstore.Instance {
	t.Helper()
	i, err := sigstore.Start(t.Context(), sigstore.Options{Dir: dir, ToolsDir: toolsDir, RekorV2: true,
		Log: func(s string) { t.Log(s) }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, i.Close()) })
	return i
}

func signOne(t *testing.T, i *sigstore.Instance, config string) []byte {
	t.Helper()
	sc, err := root.NewSigningConfigFromPath(config)
	require.NoError(t, err)
	url := i.TokenURL(identity.Repository, identity.Workflow, identity.Ref(), identity.Commit)
	s, err := sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc,
		Token: sign.RequestToken(http.DefaultClient, url, i.Bearer(), sign.Audience)})
	require.NoError(t, err)
	raw, err := s.Sign(t.Context(), [32]byte{})
	require.NoError(t, err)
	return raw
}

func verify(t *testing.T, root, bundle []byte) signature.Certificate {
	t.Helper()
	path := filepath.Join(t.TempDir(), "root.json")
	require.NoError(t, os.WriteFile(path, root, 0o600))
	tm, err := signature.TrustedRoot(path)
	require.NoError(t, err)
	v, err := signature.NewVerifier(tm, identity)
	require.NoError(t, err)
	c, err := v.Verify([32]byte{}, bundle)
	require.NoError(t, err)
	return c
}

// Yesterday's bundles verify today and under yesterday's root, and both logs go on where they ended.
func TestRestartKeepsTheRootAndTheLogs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := start(t, dir)
	root, err := os.ReadFile(first.TrustedRootPath)
	require.NoError(t, err)
	require.Contains(t, string(root), "rehearsal")
	old := map[string][]byte{"v1": signOne(t, first, first.SigningConfigPath),
		"v2": signOne(t, first, first.SigningConfigRekorV2Path)}
	require.NoError(t, first.Close())

	second := start(t, dir)
	again, err := os.ReadFile(second.TrustedRootPath)
	require.NoError(t, err)
	require.Equal(t, string(root), string(again))
	require.NotEqual(t, first.Bearer(), second.Bearer(), "a secret of one run")
	for name, config := range map[string]string{"v1": second.SigningConfigPath, "v2": second.SigningConfigRekorV2Path} {
		before, after := verify(t, again, old[name]), verify(t, root, signOne(t, second, config))
		require.Equal(t, before.LogID, after.LogID, name)
		require.Equal(t, before.LogIndex+1, after.LogIndex, name)
	}
}

func TestNothingSurvivesClose(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := start(t, dir)
	config, err := os.ReadFile(i.SigningConfigRekorV2Path)
	require.NoError(t, err)
	require.NoError(t, i.Close())
	require.NoError(t, i.Close(), "twice is once")
	addresses := 0
	for _, word := range append(strings.Split(string(config), `"`), i.TokenURL("a/b", "c.yaml", "d", "e")) {
		u, err := url.Parse(word)
		if err != nil || u.Scheme != "http" {
			continue
		}
		addresses++
		require.Equal(t, "127.0.0.1", u.Hostname())
		_, err = (&net.Dialer{}).DialContext(t.Context(), "tcp", u.Host)
		require.Error(t, err, "%s still answers", u.Host)
	}
	require.Equal(t, 5, addresses)
}

func TestSecretsAreTheOwnersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	i := start(t, dir)
	keys, err := filepath.Glob(filepath.Join(dir, "keys", "*.key.pem"))
	require.NoError(t, err)
	require.Len(t, keys, 7)
	for _, k := range keys {
		info, err := os.Stat(k)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), k)
	}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		require.NotContains(t, string(b), i.Bearer(), path)
		return err
	}))
}

func TestFailures(t *testing.T) {
	t.Parallel()
	t.Run("no tools", func(t *testing.T) {
		t.Parallel()
		_, err := sigstore.Start(t.Context(), sigstore.Options{Dir: t.TempDir(), ToolsDir: t.TempDir()})
		require.Equal(t, fault.General, fault.CodeOf(err))
	})
	t.Run("damaged key", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "keys"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "keys", "fulcio.key.pem"), []byte("nonsense"), 0o600))
		_, err := sigstore.Start(t.Context(), sigstore.Options{Dir: dir, ToolsDir: toolsDir})
		require.ErrorContains(t, err, "holds no PEM block")
	})
	t.Run("cancelled", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := sigstore.Start(ctx, sigstore.Options{Dir: t.TempDir(), ToolsDir: toolsDir})
		require.ErrorIs(t, err, context.Canceled)
	})
}

// Each service is reached under the name that it has at the public instance.
func TestPublicNames(t *testing.T) {
	t.Parallel()
	i, err := sigstore.Start(t.Context(), sigstore.Options{Dir: t.TempDir(), ToolsDir: toolsDir})
	require.NoError(t, err)
	defer func() { require.NoError(t, i.Close()) }()
	require.Empty(t, i.SigningConfigRekorV2Path)
	for host, path := range map[string]string{sigstore.FulcioHost: "/api/v2/trustBundle",
		sigstore.RekorHost: "/api/v1/log", sigstore.TimestampHost: "/api/v1/timestamp/certchain"} {
		h, err := i.Handler(host)
		require.NoError(t, err)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "https://"+host+path, nil))
		require.Equal(t, http.StatusOK, w.Code, "%s: %s", host, w.Body)
	}
	_, err = i.Handler(sigstore.RekorV2Host)
	require.ErrorContains(t, err, "has no log2025-1.rekor.sigstore.dev")
}
