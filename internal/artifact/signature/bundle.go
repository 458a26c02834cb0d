package signature

import (
	"bytes"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"google.golang.org/protobuf/encoding/protojson"
)

// MaxBundleSize is the largest bundle that is read, in bytes; real ones have about 6 KB.
const MaxBundleSize = 64 << 10

const mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Encode writes the one form of our own bundles: compact JSON, sorted keys, newline.
func Encode(b *protobundle.Bundle) ([]byte, error) {
	raw, err := protojson.Marshal(b)
	if err != nil {
		return nil, err
	}
	var tree any
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(&tree); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err = e.Encode(tree)
	return out.Bytes(), err
}

// decode reads a bundle as any client of Sigstore writes it: in any JSON form,
// with fields that are not known here, and of each version. form says in what it
// is not what Encode writes, "" when it is: a form proves nothing, but what is
// in ours cannot change by a byte unseen.
// sigstore-go comes last: it logs what it does not know on standard error.
func decode(raw []byte) (b *bundle.Bundle, form string, err error) {
	if len(raw) > MaxBundleSize {
		return nil, "", fmt.Errorf("more than %d bytes", MaxBundleSize)
	}
	p := &protobundle.Bundle{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(raw, p); err != nil {
		return nil, "", err
	}
	if err := signsOneFile(p); err != nil {
		return nil, "", err
	}
	for _, e := range p.GetVerificationMaterial().GetTlogEntries() {
		if err := consistent(e); err != nil {
			return nil, "", fmt.Errorf("log entry: %w", err)
		}
	}
	for _, t := range p.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps() {
		if err := strictStamp(t.GetSignedTimestamp()); err != nil {
			return nil, "", fmt.Errorf("timestamp: %w", err)
		}
	}
	if form, err = difference(p, raw); err != nil {
		return nil, "", err
	}
	b, err = bundle.NewBundle(p)
	return b, form, err
}

// signsOneFile refuses the kinds of bundle that are not a keyless signature:
// over a file's SHA-256, or over a statement that names files.
func signsOneFile(b *protobundle.Bundle) error {
	m := b.GetMessageSignature()
	switch {
	case m == nil && b.GetDsseEnvelope() == nil:
		return errors.New("it signs no file")
	case m != nil && (m.GetMessageDigest().GetAlgorithm() != protocommon.HashAlgorithm_SHA2_256 ||
		len(m.GetMessageDigest().GetDigest()) != 32):
		return errors.New("its digest is not a SHA-256")
	case leafOf(b) == nil:
		return errors.New("it holds no certificate")
	case len(b.GetVerificationMaterial().GetTlogEntries()) == 0:
		return errors.New("it holds no log entry")
	}
	return noRoot(b)
}

// leafOf is the signer's certificate: alone since v0.3, the first of a chain before.
func leafOf(b *protobundle.Bundle) []byte {
	if c := b.GetVerificationMaterial().GetCertificate(); c != nil {
		return c.GetRawBytes()
	}
	chain := b.GetVerificationMaterial().GetX509CertificateChain().GetCertificates()
	if len(chain) == 0 {
		return nil
	}
	return chain[0].GetRawBytes()
}

// noRoot: a bundle that brings the root of its own trust along is refused, as
// Sigstore's conformance suite demands; sigstore-go 1.3.0 looks at the leaf alone.
func noRoot(b *protobundle.Bundle) error {
	for _, c := range b.GetVerificationMaterial().GetX509CertificateChain().GetCertificates() {
		parsed, err := x509.ParseCertificate(c.GetRawBytes())
		if err != nil {
			return fmt.Errorf("its certificate chain: %w", err)
		}
		if bytes.Equal(parsed.RawSubject, parsed.RawIssuer) {
			return errors.New("its certificate chain holds a root")
		}
	}
	return nil
}

// difference says in what a bundle is not what Encode writes of a signature of ours.
func difference(b *protobundle.Bundle, raw []byte) (string, error) {
	entries := len(b.GetVerificationMaterial().GetTlogEntries())
	switch {
	case b.GetMediaType() != mediaType:
		return fmt.Sprintf("media type %q, not %q", b.GetMediaType(), mediaType), nil
	case b.GetMessageSignature() == nil:
		return "a statement about the file, not its signature", nil
	case b.GetVerificationMaterial().GetCertificate() == nil:
		return "a chain of certificates, not the one of the signer", nil
	case entries != 1:
		return fmt.Sprintf("%d log entries, not one", entries), nil
	}
	return otherJSON(b, raw)
}

func otherJSON(b *protobundle.Bundle, raw []byte) (string, error) {
	again, err := Encode(b)
	if err == nil && !bytes.Equal(raw, again) {
		return "other JSON than ours (compact, sorted keys, known fields, one newline at the end)", nil
	}
	return "", err
}
