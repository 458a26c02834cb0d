package kms

import (
	"context"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/release"
)

// PolicySigner judges the Sigstore bundle beside the policy; *signature.Verifier is one.
type PolicySigner interface {
	Verify(digest [32]byte, bundle []byte) (signature.Certificate, error)
}

// NewPolicySigner is the signer that the policy must have: the release workflow
// of this service's own version, under the trusted root that is configured.
// Without one there is none, and it returns nil: then the pin or the compose
// hash is all that vouches for the policy.
func NewPolicySigner(c Config) (PolicySigner, error) {
	if c.TrustedRoot == "" {
		return nil, nil //nolint:nilnil // no signer is a value here
	}
	trust, err := signature.TrustedRoot(c.TrustedRoot)
	if err != nil {
		return nil, fmt.Errorf("MERO_KMS_TRUSTED_ROOT: %w", err)
	}
	v, err := signature.NewVerifier(trust, signature.Identity{Repository: repository, Workflow: release.KMS.Workflow(), Tag: c.tag()})
	if err != nil {
		return nil, fmt.Errorf("MERO_KMS_TRUSTED_ROOT: %w", err)
	}
	return v, nil
}

// signedBy fetches the policy's bundle, which stands beside it under the name
// that a release gives it, and returns who signed; empty when no signature is demanded.
func (s *policySource) signedBy(ctx context.Context, digest [32]byte) (string, error) {
	if s.signer == nil {
		return "", nil
	}
	u := *s.config.PolicyURL
	u.Path, u.RawPath = u.Path+release.BundleSuffix, ""
	bundle, err := s.fetch(ctx, &u, signature.MaxBundleSize)
	if err != nil {
		return "", fmt.Errorf("fetch the policy's signature: %w", err)
	}
	certificate, err := s.signer.Verify(digest, bundle)
	if err != nil {
		return "", fmt.Errorf("the policy's %w", err)
	}
	return certificate.SAN, nil
}
