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

// instance is the local Sigstore that all tests of the package share; its first start compiles for two minutes.
var instance *sigstore.Instance

func TestMain(m *testing.M) { os.Exit(withInstance(m.Run)) }

func withInstance(run func() int) int {
	dir, err := os.MkdirTemp("", "sigstore-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	ctx, cancel := context.WithTimeout(context.Background(), 75*time.Minute)
	defer cancel()
	instance, err = sigstore.Start(ctx,
		sigstore.Options{Dir: dir, ToolsDir: toolsDir, RekorV2: true, Log: func(s string) { fmt.Fprintln(os.Stderr, s) }})
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
	identity = signature.Identity{Repository: repository, Workflow: release.KMS.Workflow(), Tag: tag, Commit: commit}
)

func tokenOf(i *sigstore.Instance, id signature.Identity) sign.TokenSource {
	url := i.TokenURL(id.Repository, id.Workflow, id.Ref(), id.Commit)
	return sign.RequestToken(http.DefaultClient, url, i.Bearer(), sign.Audience)
}

func newVerifier(t testing.TB, i *sigstore.Instance, id signature.Identity) *signature.Verifier {
	t.Helper()
	tm, err := signature.TrustedRoot(i.TrustedRootPath)
	require.NoError(t, err)
	v, err := signature.NewVerifier(tm, id)
	require.NoError(t, err)
	return v
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
