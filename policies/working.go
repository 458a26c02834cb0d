package policies

import (
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/calimero-network/mero-tee/internal/canonical"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

// Working is policies/{profile}.json: what people govern by pull request and
// what every released policy is generated from.
type Working struct {
	SchemaVersion    string          `json:"schema_version"`
	Profile          release.Profile `json:"profile"`
	AllowedTCBStatus []string        `json:"allowed_tcb_status"`
	Measurements     []Measurement   `json:"measurements"` // promoted, oldest first
	Revoked          []Revocation    `json:"revoked"`
}

// Revocation is a tuple that no policy may hold again, whichever release it came from.
type Revocation struct {
	tdx.Registers
	Reason string `json:"reason"`
}

// DecodeWorking reads a working policy strictly and checks it; its errors have code Verification.
func DecodeWorking(data []byte) (*Working, error) {
	w := new(Working)
	if err := canonical.Unmarshal(data, w); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "not a working policy", Err: err}
	}
	if err := w.Check(); err != nil {
		return nil, err
	}
	return w, nil
}

// Encode checks the working policy and renders its canonical bytes.
func (w *Working) Encode() ([]byte, error) {
	if err := w.Check(); err != nil {
		return nil, err
	}
	return canonical.Marshal(w)
}

// Check says whether the file means something. Its errors have code Verification.
func (w *Working) Check() error {
	if err := checkHead(w.SchemaVersion, w.Profile); err != nil {
		return err
	}
	if err := checkTCB(w.AllowedTCBStatus); err != nil {
		return err
	}
	if err := checkTuples(w.Measurements); err != nil {
		return err
	}
	return checkRevoked(w.Revoked)
}

func checkRevoked(list []Revocation) error {
	if list == nil {
		return broken("revoked is missing", "a list", "nothing")
	}
	for i, r := range list {
		if err := checkRegisters(r.Registers); err != nil {
			return fmt.Errorf("revoked[%d]: %w", i, err)
		}
		if r.Reason == "" {
			return broken("a revocation gives no reason", "why, for those who come later", "nothing")
		}
	}
	return nil
}

// Revocation finds the entry that revokes the tuple; nil when it stands.
func (w *Working) Revocation(r tdx.Registers) *Revocation {
	if i := slices.IndexFunc(w.Revoked, func(x Revocation) bool { return x.Registers == r }); i >= 0 {
		return &w.Revoked[i]
	}
	return nil
}

// File is the name of a profile's working policy in policies/.
func File(p release.Profile) string { return string(p) + ".json" }

// SchemaFile is the name of the JSON schema that lies beside the working policies.
const SchemaFile = "attestation-policy.schema.json"

// LoadDir reads the working policies of all profiles from the root of fsys. A
// missing one has code MissingAsset; a JSON file with any other name is
// refused, so that a misspelt one is not silently left out.
func LoadDir(fsys fs.FS) (map[release.Profile]*Working, error) {
	if err := refuseStrangers(fsys); err != nil {
		return nil, err
	}
	out := make(map[release.Profile]*Working, len(release.Profiles()))
	for _, p := range release.Profiles() {
		data, err := fs.ReadFile(fsys, File(p))
		if err != nil {
			return nil, &fault.Error{Code: fault.MissingAsset, Message: "working policy of " + string(p), Expected: File(p), Err: err}
		}
		w, err := DecodeWorking(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", File(p), err)
		}
		if w.Profile != p {
			return nil, fmt.Errorf("%s: %w", File(p), broken("policy of another profile", string(p), string(w.Profile)))
		}
		out[p] = w
	}
	return out, nil
}

func refuseStrangers(fsys fs.FS) error {
	names, err := fs.Glob(fsys, "*.json")
	if err != nil {
		return err
	}
	for _, name := range names {
		profile := release.Profile(name[:len(name)-len(path.Ext(name))])
		if name != SchemaFile && !slices.Contains(release.Profiles(), profile) {
			return broken("unknown file beside the working policies", "one {profile}.json per profile", name)
		}
	}
	return nil
}
