package sign_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	repository = "calimero-network/mero-tee"
	commit     = "0123456789abcdef0123456789abcdef01234567"
	toolsDir   = "../../../tools"
)

// instance is the local Sigstore that all tests of the package share; its first start compiles for two minutes.
var instance *sigstore.Instance

func TestMain(m *testing.M) { os.Exit(withInstance(m.Run)) }

func withInstance(run func() int) int {
	dir, err := os.MkdirTemp("", "sigstore-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir) //nolint:errcheck // scratch
	ctx, cancel := context.WithTimeout(context.Background(), 9*time.Minute)
	defer cancel()
	instance, err = sigstore.Start(ctx, sigstore.Options{Dir: dir, ToolsDir: toolsDir, Log: func(s string) { fmt.Fprintln(os.Stderr, s) }})
	if err != nil {
		panic(err)
	}
	code := run()
	if err := instance.Close(); err != nil {
		panic(err)
	}
	return code
}

// tag is the release that the tests sign; identity its signer.
var (
	tag      = release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2}}
	identity = sign.Identity{Repository: repository, Workflow: release.KMS.Workflow(), Tag: tag, Commit: commit}
)

func tokenOf(i *sigstore.Instance, id sign.Identity) sign.TokenSource {
	url := i.TokenURL(id.Repository, id.Workflow, id.Ref(), id.Commit)
	return sign.RequestToken(http.DefaultClient, url, i.Bearer(), sign.Audience)
}

func newSigner(t testing.TB, i *sigstore.Instance, config string, token sign.TokenSource) *sign.Signer {
	t.Helper()
	sc, err := sign.SigningConfig(config)
	require.NoError(t, err)
	s, err := sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc, Token: token})
	require.NoError(t, err)
	return s
}

func newVerifier(t testing.TB, i *sigstore.Instance, id sign.Identity) *sign.Verifier {
	t.Helper()
	v, err := sign.NewVerifier(trust(t, i), id)
	require.NoError(t, err)
	return v
}

func trust(t testing.TB, i *sigstore.Instance) root.TrustedMaterial {
	t.Helper()
	tm, err := sign.TrustedRoot(i.TrustedRootPath)
	require.NoError(t, err)
	return tm
}

// signedBy returns a digest and a bundle over it, on Rekor v2, by the given identity.
func signedBy(t testing.TB, i *sigstore.Instance, id sign.Identity) ([32]byte, []byte) {
	t.Helper()
	return signedWith(t, newSigner(t, i, i.SigningConfigPath, tokenOf(i, id)))
}

func signedWith(t testing.TB, s *sign.Signer) ([32]byte, []byte) {
	t.Helper()
	digest := sha256.Sum256([]byte(t.Name()))
	raw, err := s.Sign(t.Context(), digest)
	require.NoError(t, err)
	return digest, raw
}

func writeFile(t testing.TB, dir, name string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
}
