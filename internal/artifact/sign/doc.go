// Package sign signs release assets keylessly: Fulcio certificates, Rekor
// entries, RFC 3161 timestamps, Sigstore bundles v0.3.
//
// Its promise: one token, one key and one certificate sign a whole release, and
// no bundle is written that package signature's one verifier does not accept.
package sign

import (
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
)

// The verifier's names, for those who sign as well as verify.
type (
	Verifier    = signature.Verifier
	Identity    = signature.Identity
	Certificate = signature.Certificate
)

// What both sides share.
const (
	Issuer        = signature.Issuer
	MaxBundleSize = signature.MaxBundleSize
)

// NewVerifier is signature.NewVerifier.
func NewVerifier(tm root.TrustedMaterial, id Identity) (*Verifier, error) {
	return signature.NewVerifier(tm, id)
}
