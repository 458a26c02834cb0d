package signature

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
)

var oidTSTInfo = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}

// stamp is an RFC 3161 response around an RFC 5652 SignedData.
type stamp struct {
	Status struct{ Status int }
	Token  struct {
		Type       asn1.ObjectIdentifier
		SignedData []asn1.RawValue `asn1:"explicit,tag:0"` // version, digests, content, perhaps certificates, signers
	}
}

type contentInfo struct {
	Type asn1.ObjectIdentifier
	Info []byte `asn1:"explicit,tag:0"`
}

// signerInfo is the beginning of one; its signed attributes and its signature follow.
type signerInfo struct {
	Version int
	ID      asn1.RawValue
	Digest  pkix.AlgorithmIdentifier
}

// strictStamp refuses what the timestamp library does not read (2026-11-23: 41
// of 766 bytes could change unseen): loose lengths, and the status, versions,
// types and algorithms of the envelope, which the signature does not cover.
func strictStamp(der []byte) error {
	if err := strictDER(der, 0); err != nil {
		return err
	}
	var s stamp
	if _, err := asn1.Unmarshal(der, &s); err != nil {
		return err
	}
	if s.Status.Status != 0 {
		return fmt.Errorf("status %d", s.Status.Status)
	}
	data := s.Token.SignedData
	if len(data) != 4 && (len(data) != 5 || data[3].Tag != 0) {
		return errors.New("not a content, its certificates and its signers")
	}
	return strictEnvelope(data)
}

func strictEnvelope(data []asn1.RawValue) error {
	var version int
	var digests []pkix.AlgorithmIdentifier
	var content contentInfo
	var signers []signerInfo
	for _, f := range []struct {
		from   asn1.RawValue
		to     any
		params string
	}{{data[0], &version, ""}, {data[1], &digests, "set"}, {data[2], &content, ""}, {data[len(data)-1], &signers, "set"}} {
		if _, err := asn1.UnmarshalWithParams(f.from.FullBytes, f.to, f.params); err != nil {
			return err
		}
	}
	switch {
	case len(signers) != 1 || len(digests) != 1:
		return fmt.Errorf("%d signers and %d digest algorithms", len(signers), len(digests))
	case version != 3 || signers[0].Version != 1:
		return fmt.Errorf("versions %d and %d, not 3 and 1", version, signers[0].Version)
	case !content.Type.Equal(oidTSTInfo):
		return fmt.Errorf("content of type %s", content.Type)
	case !digests[0].Algorithm.Equal(signers[0].Digest.Algorithm):
		return errors.New("two digest algorithms")
	}
	return nil
}

const maxDepth = 24 // of nested elements; a timestamp has 16

// strictDER demands that every element ends exactly where its parent says.
func strictDER(der []byte, depth int) error {
	if depth > maxDepth {
		return errors.New("nested too deeply")
	}
	for len(der) > 0 {
		var v asn1.RawValue
		rest, err := asn1.Unmarshal(der, &v)
		if err != nil {
			return err
		}
		if v.IsCompound {
			if err := strictDER(v.Bytes, depth+1); err != nil {
				return err
			}
		}
		der = rest
	}
	return nil
}
