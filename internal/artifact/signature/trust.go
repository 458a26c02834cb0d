package signature

import (
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// MaxTrust bounds a trusted root or a signing config, in bytes.
const MaxTrust = 1 << 20

// TrustedRoot reads the trusted_root.json at path; its errors have code Usage.
func TrustedRoot(path string) (root.TrustedMaterial, error) {
	tm, err := FromFile("trusted root", path, root.NewTrustedRootFromJSON)
	if err != nil {
		return nil, err // a nil *TrustedRoot must not become a TrustedMaterial that is not nil
	}
	return tm, nil
}

// FromFile reads what a person configured by path; its errors have code Usage.
func FromFile[T any](what, path string, parse func([]byte) (T, error)) (T, error) {
	var none T
	raw, err := file.Read(path, MaxTrust)
	if err != nil {
		return none, &fault.Error{Code: fault.Usage, Message: "the " + what, Err: err}
	}
	t, err := parse(raw)
	if err != nil {
		return none, &fault.Error{Code: fault.Usage, Message: "the " + what + " in " + path, Err: err}
	}
	return t, nil
}
