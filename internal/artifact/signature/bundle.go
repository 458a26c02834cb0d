package signature

import (
	"bytes"
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

// Encode writes a bundle's one form: compact JSON, sorted keys, newline.
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

// decode reads a bundle in that one form. JSON and base64 can write the same
// content in many ways; with one way only, no byte of a bundle can change unseen.
// sigstore-go comes last: it logs what it does not know on standard error.
func decode(raw []byte) (*bundle.Bundle, error) {
	if len(raw) > MaxBundleSize {
		return nil, fmt.Errorf("more than %d bytes", MaxBundleSize)
	}
	b := &protobundle.Bundle{}
	if err := protojson.Unmarshal(raw, b); err != nil {
		return nil, err
	}
	if err := signsOneFile(b); err != nil {
		return nil, err
	}
	again, err := Encode(b)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(raw, again) {
		return nil, errors.New("not in its canonical form (compact JSON, sorted keys, one newline at the end)")
	}
	if err := consistent(b.GetVerificationMaterial().GetTlogEntries()[0]); err != nil {
		return nil, fmt.Errorf("log entry: %w", err)
	}
	for _, t := range b.GetVerificationMaterial().GetTimestampVerificationData().GetRfc3161Timestamps() {
		if err := strictStamp(t.GetSignedTimestamp()); err != nil {
			return nil, fmt.Errorf("timestamp: %w", err)
		}
	}
	return bundle.NewBundle(b)
}

// signsOneFile refuses the kinds of bundle that are not a keyless signature over a file's SHA-256.
func signsOneFile(b *protobundle.Bundle) error {
	switch m := b.GetMessageSignature(); {
	case b.GetMediaType() != mediaType:
		return fmt.Errorf("media type %q, not %q", b.GetMediaType(), mediaType)
	case m == nil:
		return errors.New("it signs no file")
	case m.GetMessageDigest().GetAlgorithm() != protocommon.HashAlgorithm_SHA2_256 ||
		len(m.GetMessageDigest().GetDigest()) != 32:
		return errors.New("its digest is not a SHA-256")
	case b.GetVerificationMaterial().GetCertificate() == nil:
		return errors.New("it holds no certificate")
	case len(b.GetVerificationMaterial().GetTlogEntries()) != 1:
		return fmt.Errorf("it holds %d log entries, not one", len(b.GetVerificationMaterial().GetTlogEntries()))
	}
	return nil
}
