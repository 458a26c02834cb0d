// Package endorsement reads what Google signs of the firmware of its TDX
// machines: a launch endorsement for each MRTD.
//
// Its promise: an Endorsement exists only for a message that Verify judged
// under one pinned root, as of one time, and that names the very MRTD which was
// asked about. That Google has endorsed nothing is said only when its bucket
// says so in words; whatever else keeps an answer from being had is no answer.
package endorsement

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// GoogleRootSHA256 is the SHA-256 of the certificate at
// https://pki.goog/cloud_integrity/GCE-cc-tcb-root_1.crt, in DER. Three public
// verifiers pin the same digest (read 2026-11). The certificate itself is in
// each endorsement; only one with this digest is believed.
const GoogleRootSHA256 = "e876bc6978bf4f3da445f98a0a82363c8c0bae5a1fc033c6df65846a6cb0f18c"

// MaxSize is the largest endorsement that is read, in bytes. Google's carry two
// certificates and some measurements, in less than a tenth of it.
const MaxSize = 256 << 10

// Endorsement is what a verified message says.
type Endorsement struct {
	Signed   time.Time // by Google, before the firmware was used
	Firmware string    // SHA-384 of the firmware's file, in hex
	SVN      uint64    // Google's security version number of it on TDX
}

// Verify judges a message as of a time: the certificate of its signer was valid
// then, and was issued by the one root whose SHA-256 is given; the signature is
// of the statement; and the statement is of this MRTD. Errors have code 10.
func Verify(message []byte, root [32]byte, mrtd tdx.Register, at time.Time) (*Endorsement, error) {
	if len(message) > MaxSize {
		return nil, fault.Mismatch("the endorsement is too large", fmt.Sprintf("at most %d bytes", MaxSize),
			fmt.Sprintf("%d bytes", len(message)))
	}
	m, err := parse(message)
	if err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the endorsement is malformed", Err: err,
			Expected: "a VMLaunchEndorsement of Google's"}
	}
	signer, err := m.signer(root, at)
	if err != nil {
		return nil, err
	}
	if err := signer.CheckSignature(x509.SHA256WithRSAPSS, m.golden, m.signature); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the endorsement's signature is not of what it says",
			Err: err, Expected: "RSA-PSS with SHA-256, by the certificate in it"}
	}
	if err := m.says(mrtd, at); err != nil {
		return nil, err
	}
	return &Endorsement{Signed: m.signed.UTC(), Firmware: hex.EncodeToString(m.firmware), SVN: m.svn}, nil
}

// signer is the certificate in the message, issued by the root directly, as
// Google's root demands (its path length is zero), and valid at that time.
func (m *message) signer(pin [32]byte, at time.Time) (*x509.Certificate, error) {
	root, err := m.root(pin)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(m.cert)
	if err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the endorsement's certificate cannot be read", Err: err}
	}
	for _, c := range []struct {
		name string
		cert *x509.Certificate
	}{{"root", root}, {"certificate", cert}} {
		if err := valid(c.name, c.cert, at); err != nil {
			return nil, err
		}
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: at,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the endorsement's certificate is not issued by its root",
			Err: err, Expected: root.Subject.CommonName, Got: cert.Issuer.CommonName}
	}
	if cert.KeyUsage&x509.KeyUsageDigitalSignature == 0 {
		return nil, fault.Mismatch("the endorsement's certificate is not for signatures", "key usage digitalSignature",
			fmt.Sprintf("key usage %b", cert.KeyUsage))
	}
	return cert, nil
}

func valid(name string, c *x509.Certificate, at time.Time) error {
	period := c.NotBefore.UTC().Format(time.RFC3339) + " to " + c.NotAfter.UTC().Format(time.RFC3339)
	switch {
	case at.Before(c.NotBefore):
		return fault.Mismatch("the endorsement's "+name+" was not valid yet", at.UTC().Format(time.RFC3339), period)
	case at.After(c.NotAfter):
		return fault.Mismatch("the endorsement's "+name+" had expired by then", at.UTC().Format(time.RFC3339), period)
	}
	return nil
}

// root is the pinned one among the certificates that the message brings.
func (m *message) root(pin [32]byte) (*x509.Certificate, error) {
	var seen []string
	for _, der := range certificates(m.bundle) {
		sum := sha256.Sum256(der)
		if sum != pin {
			seen = append(seen, hex.EncodeToString(sum[:]))
			continue
		}
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, &fault.Error{Code: fault.Verification, Message: "the endorsement's root cannot be read", Err: err}
		}
		return cert, nil
	}
	err := fault.Mismatch("the endorsement is under another root", "sha256:"+hex.EncodeToString(pin[:]),
		"sha256:"+strings.Join(seen[:min(len(seen), maxShown)], ", sha256:"))
	if len(seen) == 0 {
		err.Got = "no certificate beside the signer's"
	}
	err.Hint = "Google announces another root before it uses it: compare https://pki.goog/cloud_integrity/ " +
		"with the digest in package endorsement"
	return nil, err
}

// maxShown is how many values an error lists.
const maxShown = 4

// certificates are those of a bundle: PEM, or one in DER.
func certificates(bundle []byte) (out [][]byte) {
	for rest := bundle; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			out = append(out, block.Bytes)
		}
	}
	if out == nil && len(bundle) > 0 {
		out = append(out, bundle)
	}
	return out
}

// provenance is when Google's statements began to say what a firmware was built
// of: its own verifier demands it of what was signed later
// (google/gce-tcb-verifier, verify/verify.go).
var provenance = time.Date(2024, time.August, 2, 0, 0, 0, 0, time.UTC)

// says: the statement was made before that time, and is of the MRTD. Google's own
// verifier leaves this comparison to its caller.
func (m *message) says(mrtd tdx.Register, at time.Time) error {
	switch {
	case m.signed.After(at):
		return fault.Mismatch("the endorsement was signed later", "before "+at.UTC().Format(time.RFC3339),
			m.signed.UTC().Format(time.RFC3339))
	case m.signed.After(provenance) && m.changelist == 0 && len(m.commit) == 0:
		return fault.Mismatch("the endorsement does not say what the firmware was built of", "a changelist or a commit",
			"neither")
	case slices.Contains(m.mrtds, mrtd):
		return nil
	}
	var of []string
	for _, other := range m.mrtds[:min(len(m.mrtds), maxShown)] {
		of = append(of, other.String())
	}
	err := fault.Mismatch("the endorsement is of another MRTD", mrtd.String(), strings.Join(of, ", "))
	if len(m.mrtds) == 0 {
		err.Got = "of no TDX machine"
	}
	return err
}

// ErrNone is Google's answer that it has endorsed nothing of the kind.
var ErrNone = errors.New("google has no endorsement of this MRTD")
