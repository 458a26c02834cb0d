package ita

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const maxChain = 5 // certificates; Intel's has three

// signingKey finds the key with which the service signs under this kid and
// algorithm (Intel lists the same kid once per algorithm), and believes it for
// its certificates alone. The token's jku is ignored: "In practice, jku is advisory."
func (c *Client) signingKey(ctx context.Context, kid, algorithm string) (crypto.PublicKey, error) {
	data, err := c.ask(ctx, http.MethodGet, c.portal+"/certs", nil)
	if err != nil {
		return nil, c.explain("its signing keys", err)
	}
	certificates, err := certificatesOf(data, kid, algorithm)
	if err != nil {
		return nil, failed("the signing keys", err)
	}
	chain, err := pinnedChain(certificates, c.root, c.now())
	if err != nil {
		return nil, failed("the signing key", err)
	}
	return chain[0].PublicKey, c.unrevoked(ctx, chain)
}

// certificatesOf reads a JWKS: the x5c of the one key, leaf first. Keys of other
// names are not read: one of a kind that is not known says nothing about it.
func certificatesOf(jwks []byte, kid, algorithm string) ([]*x509.Certificate, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(jwks, &set); err != nil {
		return nil, err
	}
	for _, raw := range set.Keys {
		var named struct {
			KeyID     string `json:"kid"`
			Algorithm string `json:"alg"`
		}
		if json.Unmarshal(raw, &named) != nil || named.KeyID != kid || named.Algorithm != algorithm {
			continue
		}
		var key jose.JSONWebKey
		if err := json.Unmarshal(raw, &key); err != nil {
			return nil, fmt.Errorf("the key of %.100q for %s: %w", kid, algorithm, err)
		}
		return key.Certificates, nil
	}
	return nil, fmt.Errorf("none of %.100q for %s", kid, algorithm)
}

// pinnedChain verifies the leaf up to the root, which must be the pinned one.
func pinnedChain(certificates []*x509.Certificate, root [32]byte, now time.Time) ([]*x509.Certificate, error) {
	n := len(certificates)
	if n < 2 || n > maxChain {
		return nil, fmt.Errorf("%d certificates, not 2 to %d", n, maxChain)
	}
	if got := sha256.Sum256(certificates[n-1].Raw); got != root {
		return nil, mismatch("the root of the signing key is not the pinned one", hex.EncodeToString(root[:]),
			hex.EncodeToString(got[:]))
	}
	roots, intermediates := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(certificates[n-1])
	for _, cert := range certificates[1 : n-1] {
		intermediates.AddCert(cert)
	}
	chains, err := certificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: intermediates, CurrentTime: now,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return nil, err
	}
	if certificates[0].IsCA || certificates[0].KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, errors.New("it is no key for signatures")
	}
	return chains[0], nil
}

// unrevoked asks, for every certificate but the root, the list of its issuer.
func (c *Client) unrevoked(ctx context.Context, chain []*x509.Certificate) error {
	for i, cert := range chain[:len(chain)-1] {
		if len(cert.CRLDistributionPoints) == 0 || !strings.HasPrefix(cert.CRLDistributionPoints[0], c.portal+"/crl/") {
			return failed("the signing key", fmt.Errorf("%s names no revocation list below %s/crl/", cert.Subject.CommonName,
				c.portal))
		}
		der, err := c.list(ctx, cert.CRLDistributionPoints[0])
		if err != nil {
			return c.explain("its revocations", err)
		}
		if err := listed(der, cert, chain[i+1], c.now()); err != nil {
			return failed("the revocation list of "+cert.Subject.CommonName, err)
		}
	}
	return nil
}

// listed is an error when the list revokes cert, or is not issuer's word of today.
func listed(der []byte, cert, issuer *x509.Certificate, now time.Time) error {
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return err
	}
	if err := list.CheckSignatureFrom(issuer); err != nil {
		return err
	}
	if now.Before(list.ThisUpdate.Add(-time.Minute)) || now.After(list.NextUpdate) {
		return fmt.Errorf("it holds from %s to %s", list.ThisUpdate.UTC().Format(timeFormat),
			list.NextUpdate.UTC().Format(timeFormat))
	}
	for _, entry := range list.RevokedCertificateEntries {
		if entry.SerialNumber.Cmp(cert.SerialNumber) == 0 {
			return mismatch("the signing key", "not revoked", "revoked on "+entry.RevocationTime.UTC().Format(timeFormat))
		}
	}
	return nil
}

// IntelRootSHA256 is the SHA-256 of the DER of "Intel Trust Authority Root CA"
// (serial 6595f65c04868983f3a597f018d6bb40594afb74, valid 2023-09-12 to
// 2049-12-30), the root of every token of https://portal.trustauthority.intel.com.
// Source: the x5c of that service's JWKS, byte for byte the same in two public
// repositories that keep a copy of it independently of each other, one of them
// confidential-containers' trustee-operator (its docs/ita.md); read on 2026-11-23,
// when the live address was out of reach from here. The whole chain is in
// testdata/intel-certs.json. The service in the EU was not looked at.
const IntelRootSHA256 = "de77babfddca9f26881af28a71e37af836a11a125f2ac8a88940efa232c359ea"
