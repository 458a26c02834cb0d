package sign

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sigstore/cosign/v2/pkg/cosign"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/tuf"

	"github.com/calimero-network/mero-tee/internal/fault"
)

const maxTrust = 1 << 20 // bytes of a trusted root or a signing config

// TrustedRoot reads the trusted root in the file at path, or, when path is
// empty, Sigstore's public one: over TUF, from the root that cosign carries.
func TrustedRoot(path string) (root.TrustedMaterial, error) {
	if path == "" {
		return public("trusted root", cosign.TrustedRoot)
	}
	tm, err := fromFile("trusted root", path, root.NewTrustedRootFromJSON)
	if err != nil {
		return nil, err // a nil *TrustedRoot must not become a TrustedMaterial that is not nil
	}
	return tm, nil
}

// SigningConfig reads the signing config in the file at path, or, when path is empty, Sigstore's public one over TUF.
func SigningConfig(path string) (*root.SigningConfig, error) {
	if path == "" {
		return public("signing config", cosign.SigningConfig)
	}
	return fromFile("signing config", path, root.NewSigningConfigFromJSON)
}

func fromFile[T any](what, path string, parse func([]byte) (T, error)) (T, error) {
	var none T
	raw, err := readLimited(path, maxTrust)
	if err != nil {
		return none, &fault.Error{Code: fault.Usage, Message: "the " + what, Err: err}
	}
	t, err := parse(raw)
	if err != nil {
		return none, &fault.Error{Code: fault.Usage, Message: "the " + what + " in " + path, Err: err}
	}
	return t, nil
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
	raw, err := readLimited(path, maxTrust)
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

// readLimited reads at most limit bytes and refuses a longer file.
func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only handle
	raw, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(raw)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", path, limit)
	}
	return raw, err
}
