package signature

import (
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// MaxTrust bounds a trusted root, in bytes.
const MaxTrust = 1 << 20

// TrustedRoot reads the trusted_root.json that a person configured by path; its errors have code Usage.
func TrustedRoot(path string) (root.TrustedMaterial, error) {
	tm, _, err := NamedRoot(path)
	return tm, err
}

// NamedRoot is TrustedRoot, and the digest by which the file can be compared.
func NamedRoot(path string) (root.TrustedMaterial, digest.Digest, error) {
	raw, err := file.Read(path, MaxTrust)
	if err != nil {
		return nil, digest.Digest{}, &fault.Error{Code: fault.Usage, Message: "the trusted root", Err: err, Hint: trustHint}
	}
	tm, err := root.NewTrustedRootFromJSON(raw)
	if err != nil {
		return nil, digest.Digest{}, &fault.Error{Code: fault.Usage, Message: "the trusted root in " + path, Err: err,
			Hint: trustHint}
	}
	return tm, digest.Of(raw), nil
}

const trustHint = "name a trusted_root.json, as Sigstore's TUF repository holds it"
