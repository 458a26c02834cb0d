package rehearsal_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/release"
)

// A rehearsal signs and verifies by production's code: over TUF it learns the
// services' public names and whom to believe. What it saw is enough to verify
// when nothing answers any more.
func TestSignsByWhatTUFSays(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs Fulcio and Rekor")
	}
	dist := t.TempDir()
	w, err := open(t, dist)
	require.NoError(t, err)
	_, err = w.Env.Trust(t.Context())
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	require.ErrorContains(t, err, "nothing was released in this rehearsal yet")

	tag, commit := release.Tag{Family: release.KMS, Version: first}, strings.Repeat("a", 40)
	cfg, err := w.Env.Signing(t.Context(), tag, &environment.Checkout{Commit: commit})
	require.NoError(t, err)
	require.Equal(t, "https://rekor.sigstore.dev", cfg.SigningConfig.RekorLogURLs()[0].URL)
	s, err := sign.NewSigner(t.Context(), cfg)
	require.NoError(t, err)
	digest := sha256.Sum256(nil)
	bundle, err := s.Sign(t.Context(), digest)
	require.NoError(t, err)
	verified := func(env *environment.Environment) {
		tm, err := env.Trust(t.Context())
		require.NoError(t, err)
		v, err := signature.NewVerifier(tm, signature.Identity{Repository: env.Config.Repository,
			Workflow: tag.Family.Workflow(), Tag: tag, Commit: commit})
		require.NoError(t, err)
		_, err = v.Verify(digest, bundle)
		require.NoError(t, err)
	}
	verified(w.Env)
	require.NoError(t, w.Close())

	again, err := open(t, dist)
	require.NoError(t, err)
	require.NoError(t, again.Close(), "from here on nothing answers")
	verified(again.Env)
	status, err := again.Env.Sigstore.Status(t.Context())
	require.NoError(t, err)
	require.Error(t, status.Unasked)
}
