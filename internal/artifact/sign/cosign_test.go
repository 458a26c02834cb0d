package sign_test

import (
	"bytes"
	"testing"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/bundle"
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
