package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// PublicTrustedRoot is Sigstore's public trusted root: over TUF, from the root
// that cosign carries. One in a file is read by signature.TrustedRoot.
func PublicTrustedRoot() (root.TrustedMaterial, error) {
	return public("trusted root", cosign.TrustedRoot)
}

// SigningConfig reads the signing config in the file at path, or, when path is
// empty, Sigstore's public one over TUF.
func SigningConfig(path string) (*root.SigningConfig, error) {
	if path == "" {
		return public("signing config", cosign.SigningConfig)
	}
	return signature.FromFile("signing config", path, root.NewSigningConfigFromJSON)
}

func public[T any](what string, fetch func() (T, error)) (T, error) {
	var none T
	if err := noOverride(os.Getenv, tuf.DefaultOptions().CachePath); err != nil {
		return none, err
	}
	t, err := fetch()
	if err != nil {
		return none, &fault.Error{Code: fault.General, Message: "sigstore's public " + what, Err: err,
			Hint: "it comes over TUF from " + tuf.DefaultMirror + ": check the network, or pin a file"}
	}
	return t, nil
}

// noOverride closes the doors through which cosign lets an environment variable
// or an earlier `cosign initialize` replace the root of trust: nothing but the
// repository's configuration may.
func noOverride(getenv func(string) string, cache string) error {
	for _, name := range []string{"TUF_MIRROR", "TUF_ROOT", "TUF_ROOT_JSON"} {
		if getenv(name) != "" {
			return &fault.Error{Code: fault.Usage, Message: "the environment replaces sigstore's root of trust",
				Expected: name + " not set", Got: name + " is set", Hint: "unset " + name}
		}
	}
	path := filepath.Join(cache, "remote.json")
	raw, err := file.Read(path, signature.MaxTrust)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var remote struct {
		Mirror string `json:"mirror"`
	}
	if err == nil {
		err = json.Unmarshal(raw, &remote)
	}
	if err != nil || remote.Mirror != tuf.DefaultMirror {
		return &fault.Error{Code: fault.Usage, Message: "cosign was initialized with another root of trust", Err: err,
			Expected: tuf.DefaultMirror, Got: fmt.Sprintf("%q in %s", remote.Mirror, path), Hint: "remove " + path}
	}
	return nil
}
