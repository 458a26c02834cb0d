package sign

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/sign"
)

// ephemeral is a P-256 key that lives in memory as long as one release is
// signed. As a sign.Keypair it signs messages: Fulcio's proof of possession.
type ephemeral struct {
	private *ecdsa.PrivateKey
	der     []byte // the public key
}

func newEphemeral() (*ephemeral, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	return &ephemeral{private: private, der: der}, err
}

// GetHashAlgorithm implements sign.Keypair.
func (*ephemeral) GetHashAlgorithm() protocommon.HashAlgorithm {
	return protocommon.HashAlgorithm_SHA2_256
}

// GetSigningAlgorithm implements sign.Keypair.
func (*ephemeral) GetSigningAlgorithm() protocommon.PublicKeyDetails {
	return protocommon.PublicKeyDetails_PKIX_ECDSA_P256_SHA_256
}

// GetHint implements sign.Keypair.
func (k *ephemeral) GetHint() []byte {
	sum := sha256.Sum256(k.der)
	return []byte(base64.StdEncoding.EncodeToString(sum[:]))
}

// GetKeyAlgorithm implements sign.Keypair.
func (*ephemeral) GetKeyAlgorithm() string { return "ECDSA" }

// GetPublicKey implements sign.Keypair.
func (k *ephemeral) GetPublicKey() crypto.PublicKey { return k.private.Public() }

// GetPublicKeyPem implements sign.Keypair.
func (k *ephemeral) GetPublicKeyPem() (string, error) {
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.der})), nil
}

// SignData implements sign.Keypair.
func (k *ephemeral) SignData(_ context.Context, data []byte) (signature, digest []byte, err error) {
	sum := sha256.Sum256(data)
	signature, err = k.private.Sign(rand.Reader, sum[:], crypto.SHA256)
	return signature, sum[:], err
}

// prehashed signs a digest that was computed elsewhere, so that a file of any size is read as a stream.
type prehashed struct{ *ephemeral }

// SignData implements sign.Keypair.
func (k prehashed) SignData(_ context.Context, digest []byte) (signature, same []byte, err error) {
	if len(digest) != sha256.Size {
		return nil, nil, fmt.Errorf("a digest of %d bytes", len(digest))
	}
	signature, err = k.private.Sign(rand.Reader, digest, crypto.SHA256)
	return signature, digest, err
}

// digestContent is a sign.Content of which only the digest is known.
type digestContent [32]byte

// PreAuthEncoding implements sign.Content.
func (d digestContent) PreAuthEncoding() []byte { return d[:] }

// Bundle implements sign.Content.
func (d digestContent) Bundle(b *protobundle.Bundle, signature, digest []byte, algorithm protocommon.HashAlgorithm) {
	(&sign.PlainData{}).Bundle(b, signature, digest, algorithm)
}

// certificate is the one certificate of a release, as a sign.CertificateProvider.
type certificate []byte

// GetCertificate implements sign.CertificateProvider.
func (c certificate) GetCertificate(context.Context, sign.Keypair, *sign.CertificateProviderOptions) ([]byte, error) {
	return c, nil
}
