package signature

import (
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// MaxTrust bounds a trusted root, in bytes.
const MaxTrust = 1 << 20

// TrustedRoot reads the trusted_root.json that a person configured by path; its errors have code Usage.
func TrustedRoot(path string) (root.TrustedMaterial, error) {
	raw, err := file.Read(path, MaxTrust)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "the trusted root", Err: err}
	}
	tm, err := root.NewTrustedRootFromJSON(raw)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "the trusted root in " + path, Err: err}
	}
	return tm, nil
}
