// Package signature verifies keyless signatures: Sigstore bundles with a Fulcio
// certificate, a Rekor entry and a trusted time. It writes bundles in one form
// and takes them in any that Sigstore's clients write; which form it was is said.
//
// Its promise: what it verifies was signed by exactly one workflow file of one
// repository, run for exactly one tag on a GitHub-hosted runner, while its
// certificate was valid, in a log of the given trusted root; names are compared
// as whole strings, never by pattern. There is one verifier: the signer, the
// auditor, the stranger and the key service use it. It imports no signer, no
// TUF client of its own and nothing of cosign, so that a small program can.
package signature

import (
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	fulcio "github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Certificate is what a verified bundle says about its making.
type Certificate struct {
	SAN        string
	Issuer     string
	Repository string    // owner/name
	Ref        string    // refs/tags/…
	Commit     string    // 40 hex digits
	Time       time.Time // verified: by a timestamp authority, or by a Rekor v1 log
	LogID      string    // hex
	LogIndex   int64
	Form       string // in what the bundle is not as Encode writes ours; empty when it is
}

// Verifier judges bundles of one identity under one trusted root. It is safe for concurrent use.
type Verifier struct {
	id       Identity
	policy   verify.PolicyOption
	material root.TrustedMaterial
	sigstore *verify.Verifier
}

// NewVerifier demands of every bundle: a certificate of tm's authorities with a
// signed certificate timestamp, an entry in one of tm's logs, and a time from a
// timestamp authority or a Rekor v1 log. Whatever else the bundle holds must
// verify too. The error's code is Usage.
func NewVerifier(tm root.TrustedMaterial, id Identity) (*Verifier, error) {
	if err := id.validate(); err != nil {
		return nil, err
	}
	policy, err := id.policy()
	if err != nil {
		return nil, err
	}
	return newVerifier(tm, id, policy)
}

func newVerifier(tm root.TrustedMaterial, id Identity, policy verify.PolicyOption) (*Verifier, error) {
	v, err := verify.NewVerifier(tm, verify.WithSignedCertificateTimestamps(1), verify.WithTransparencyLog(1),
		verify.WithObserverTimestamps(1))
	if err != nil {
		return nil, err
	}
	return &Verifier{id: id, policy: policy, material: tm, sigstore: v}, nil
}

// Verify checks that raw is a bundle over the file with this SHA-256. Every
// error is a fault.Error with code Verification that says what was expected.
func (v *Verifier) Verify(digest [32]byte, raw []byte) (Certificate, error) {
	b, form, err := decode(raw)
	if err != nil {
		return Certificate{}, refusal("bundle", "a Sigstore bundle over one file", err.Error())
	}
	if err := covers(b, digest); err != nil {
		return Certificate{}, err
	}
	return v.judge(b, verify.WithArtifactDigest("sha256", digest[:]), form)
}

// judge verifies a bundle of which it is known what it is over.
func (v *Verifier) judge(b *bundle.Bundle, artifact verify.ArtifactPolicyOption, form string) (Certificate, error) {
	result, err := v.sigstore.Verify(b, verify.NewPolicy(artifact, v.policy))
	if err != nil {
		return Certificate{}, v.diagnose(b, err)
	}
	if err := v.everyStamp(b, result.VerifiedTimestamps); err != nil {
		return Certificate{}, err
	}
	c := summarize(b, result)
	c.Form = form
	return c, nil
}

// covers: what is signed is the file, or a statement that names it. sigstore-go
// demands it once more, and has no word of its own for it.
func covers(b *bundle.Bundle, digest [32]byte) error {
	want := fmt.Sprintf("%x", digest)
	var signed []string
	if m := b.GetMessageSignature(); m != nil {
		signed = []string{fmt.Sprintf("%x", m.GetMessageDigest().GetDigest())}
	} else {
		envelope, err := b.Envelope()
		if err != nil {
			return refusal("bundle", "a statement about files", err.Error())
		}
		statement, err := envelope.Statement()
		if err != nil {
			return refusal("bundle", "a statement about files", err.Error())
		}
		for _, s := range statement.GetSubject() {
			signed = append(signed, s.GetDigest()["sha256"])
		}
	}
	if slices.Contains(signed, want) {
		return nil
	}
	return refusal("digest", fmt.Sprintf("sha256:%.200s, which the bundle signs", strings.Join(signed, ", ")),
		"sha256:"+want)
}

// everyStamp refuses a bundle with a timestamp that does not verify: to
// sigstore-go 1.3.0 the time of a Rekor v1 log is enough, and the timestamps
// beside it, which the public instance's bundles have too, could be changed at will.
func (v *Verifier) everyStamp(b *bundle.Bundle, times []verify.TimestampVerificationResult) error {
	verified := 0
	for _, t := range times {
		if t.Type == "TimestampAuthority" {
			verified++
		}
	}
	if verified == len(b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps()) {
		return nil
	}
	_, errs, err := verify.VerifySignedTimestamp(b, v.material)
	return refusal("timestamp", timeExpected, fmt.Sprint(errors.Join(append(errs, err)...)))
}

const timeExpected = "a time signed by an authority of the trusted root"

func refusal(what, expected, got string) error {
	return fault.Mismatch("signature refused: "+what, expected, got)
}

func summarize(b *bundle.Bundle, r *verify.VerificationResult) Certificate {
	c, entry := r.Signature.Certificate, b.GetVerificationMaterial().GetTlogEntries()[0]
	return Certificate{
		SAN: c.SubjectAlternativeName, Issuer: c.Issuer, Repository: strings.TrimPrefix(c.SourceRepositoryURI, github),
		Ref: c.SourceRepositoryRef, Commit: c.SourceRepositoryDigest, Time: r.VerifiedTimestamps[0].Timestamp.UTC(),
		LogID: fmt.Sprintf("%x", entry.GetLogId().GetKeyId()), LogIndex: entry.GetLogIndex(),
	}
}

// diagnose finds out which of the verifier's steps refused, in the verifier's own order.
func (v *Verifier) diagnose(b *bundle.Bundle, cause error) error {
	times, err := v.sigstore.VerifyTransparencyLogInclusion(b)
	if err != nil {
		return refusal("log", "an entry in a transparency log of the trusted root", err.Error())
	}
	if times, err = v.sigstore.VerifyObserverTimestamps(b, times); err != nil {
		return refusal("timestamp", timeExpected, err.Error())
	}
	if err := v.everyStamp(b, times); err != nil {
		return err
	}
	leaf, err := x509.ParseCertificate(leafOf(b.Bundle))
	if err != nil {
		return refusal("certificate", "an X.509 certificate", err.Error())
	}
	for _, t := range times {
		chains, err := verify.VerifyLeafCertificate(t.Timestamp, leaf, v.material)
		if err != nil {
			return refusal("certificate", "one issued by an authority of the trusted root and valid at "+
				t.Timestamp.UTC().Format(time.RFC3339),
				fmt.Sprintf("one of %q: %v", leaf.Issuer.String(), err))
		}
		if err := verify.VerifySignedCertificateTimestamp(chains, 1, v.material); err != nil {
			return refusal("certificate transparency", "a certificate that a log of the trusted root has seen", err.Error())
		}
	}
	var other *verify.ErrNoMatchingCertificateIdentity
	summary, err := fulcio.SummarizeCertificate(leaf)
	if field, want, got, same := v.id.difference(summary); err == nil && !same {
		return refusal(field, want, got)
	} else if errors.As(cause, &other) {
		return refusal("identity", v.id.SAN(), other.Error())
	}
	return refusal("signature", "a signature by the certificate's key", cause.Error())
}
