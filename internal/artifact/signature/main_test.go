package signature_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	repository = "calimero-network/mero-tee"
	commit     = "0123456789abcdef0123456789abcdef01234567"
	toolsDir   = "../../../tools"
)

// tag is the release that the tests sign; identity its signer.
var (
	tag      = release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Minor: 2}}
	identity = signature.Identity{Repository: repository, Workflow: release.KMS.Workflow(), Tag: tag, Commit: commit}
)

// scratch is where the shared instance keeps its state; cleanup closes it.
var (
	scratch string
	cleanup = func() error { return nil }
)

func TestMain(m *testing.M) {
	var err error
	if scratch, err = os.MkdirTemp("", "sigstore-"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := cleanup(); err != nil {
		panic(err)
	}
	_ = os.RemoveAll(scratch)
	os.Exit(code)
}

// started is the local Sigstore that all tests of the package share; its first
// start on a machine compiles for two minutes.
var started = sync.OnceValues(func() (*sigstore.Instance, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 75*time.Minute)
	defer cancel()
	i, err := sigstore.Start(ctx, sigstore.Options{Dir: scratch, ToolsDir: toolsDir, RekorV2: true,
		Log: func(s string) { fmt.Fprintln(os.Stderr, s) }})
	if err == nil {
		cleanup = i.Close
	}
	return i, err
})

func local(t testing.TB) *sigstore.Instance {
	t.Helper()
	if testing.Short() {
		t.Skip("runs Fulcio and Rekor")
	}
	i, err := started()
	require.NoError(t, err)
	return i
}

func tokenOf(i *sigstore.Instance, id signature.Identity) sign.TokenSource {
	url := i.TokenURL(id.Repository, id.Workflow, id.Ref(), id.Commit)
	return sign.RequestToken(http.DefaultClient, url, i.Bearer(), sign.Audience)
}

func newSigner(t testing.TB, config string, token sign.TokenSource) *sign.Signer {
	t.Helper()
	sc, err := root.NewSigningConfigFromPath(config)
	require.NoError(t, err)
	s, err := sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc, Token: token})
	require.NoError(t, err)
	return s
}

func newVerifier(t testing.TB, i *sigstore.Instance, id signature.Identity) *signature.Verifier {
	t.Helper()
	v, err := signature.NewVerifier(trust(t, i.TrustedRootPath), id)
	require.NoError(t, err)
	return v
}

func trust(t testing.TB, path string) root.TrustedMaterial {
	t.Helper()
	tm, err := signature.TrustedRoot(path)
	require.NoError(t, err)
	return tm
}

// signedBy returns a digest and a bundle over it, as the public instance makes them, by the given identity.
func signedBy(t testing.TB, i *sigstore.Instance, id signature.Identity) ([32]byte, []byte) {
	t.Helper()
	return signedWith(t, newSigner(t, i.SigningConfigPath, tokenOf(i, id)))
}

func signedWith(t testing.TB, s *sign.Signer) ([32]byte, []byte) {
	t.Helper()
	digest := sha256.Sum256([]byte(t.Name()))
	raw, err := s.Sign(t.Context(), digest)
	require.NoError(t, err)
	return digest, raw
}
