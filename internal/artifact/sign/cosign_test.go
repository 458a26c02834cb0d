package sign_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	cosignbundle "github.com/sigstore/cosign/v2/pkg/cosign/bundle"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	keys "github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
)

// Whoever trusts cosign more than us gets the same answer: docs/verify-with-cosign.md.
func TestCosignAcceptsWhatWeSign(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		config string
		stamps []bool // --use-signed-timestamps
	}{
		"v1": {instance.SigningConfigPath, []bool{false, true}},
		"v2": {instance.SigningConfigRekorV2Path, []bool{true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, err := signerOver(t, nil, tc.config)(t.Context())
			require.NoError(t, err)
			digest, raw := signedWith(t, s)
			for _, stamps := range tc.stamps {
				require.NoError(t, byCosign(t, digest[:], raw, stamps, identity))
				other := identity
				other.Tag.Version.Minor++
				require.ErrorContains(t, byCosign(t, digest[:], raw, stamps, other), "expected SAN value")
				require.Error(t, byCosign(t, bytes.Repeat([]byte{1}, 32), raw, stamps, identity))
			}
		})
	}
}

// Whoever signs by `cosign sign-blob`, whose function this is, is believed as
// well: form is what we write, not what we demand.
func TestWhatCosignSignsIsTaken(t *testing.T) {
	t.Parallel()
	v := newVerifier(t, instance, identity)
	for name, config := range map[string]string{"v1": instance.SigningConfigPath,
		"v2": instance.SigningConfigRekorV2Path} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			content := []byte(t.Name())
			token, err := tokenOf(instance, identity)(t.Context())
			require.NoError(t, err)
			sc, err := root.NewSigningConfigFromPath(config)
			require.NoError(t, err)
			key, err := keys.NewEphemeralKeypair(nil)
			require.NoError(t, err)
			raw, err := cosignbundle.SignData(t.Context(), &keys.PlainData{Data: content}, key, token, sc, nil)
			require.NoError(t, err)
			got, err := v.Verify(sha256.Sum256(content), raw)
			require.NoError(t, err)
			require.Contains(t, got.Form, "other JSON than ours")
			_, err = v.Verify(sha256.Sum256([]byte("another")), raw)
			require.ErrorContains(t, err, "signature refused: digest")
		})
	}
}

// byCosign verifies as `cosign verify-blob --new-bundle-format` does.
func byCosign(t *testing.T, digest, raw []byte, stamps bool, id signature.Identity) error {
	t.Helper()
	tm, err := signature.TrustedRoot(instance.TrustedRootPath)
	require.NoError(t, err)
	b := &bundle.Bundle{}
	require.NoError(t, b.UnmarshalJSON(raw))
	_, err = cosign.VerifyNewBundle(t.Context(), &cosign.CheckOpts{TrustedMaterial: tm, NewBundleFormat: true,
		UseSignedTimestamps: stamps, Identities: []cosign.Identity{{Issuer: signature.Issuer, Subject: id.SAN()}},
		CertGithubWorkflowRepository: id.Repository, CertGithubWorkflowRef: id.Ref()},
		verify.WithArtifactDigest("sha256", digest), b)
	return err
}
