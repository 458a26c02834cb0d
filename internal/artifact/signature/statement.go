package signature

import (
	"bytes"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/verify"
)

// An in-toto statement is signed whole, inside the envelope that the bundle
// holds: gh and cosign verify files that it names by that bundle alone.
const (
	statementSuffix = ".intoto.jsonl"
	// StatementType is the payload type of the envelope.
	StatementType = "application/vnd.in-toto+json"
)

// IsStatement says whether a file of this name is signed as a statement, by
// VerifyStatement's rule and not by Verify's.
func IsStatement(name string) bool { return strings.HasSuffix(name, statementSuffix) }

// VerifyStatement checks that raw is a bundle whose envelope holds exactly these
// bytes of a statement. What the statement says is the caller's to judge. Every
// error is a fault.Error with code Verification.
func (v *Verifier) VerifyStatement(statement, raw []byte) (Certificate, error) {
	b, _, err := decode(raw)
	if err != nil {
		return Certificate{}, refusal("bundle", "a Sigstore bundle over one statement", err.Error())
	}
	envelope := b.GetDsseEnvelope()
	switch {
	case envelope == nil:
		return Certificate{}, refusal("bundle", "an envelope with the statement", "a signature over a file")
	case envelope.GetPayloadType() != StatementType:
		return Certificate{}, refusal("payload type", StatementType, envelope.GetPayloadType())
	case !bytes.Equal(envelope.GetPayload(), statement):
		return Certificate{}, refusal("payload", "the statement, byte for byte", "another payload")
	}
	form, err := otherJSON(b.Bundle, raw)
	if err != nil {
		return Certificate{}, refusal("bundle", "a Sigstore bundle over one statement", err.Error())
	}
	return v.judge(b, verify.WithoutArtifactUnsafe(), form)
}
