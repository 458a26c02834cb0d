package policies

import (
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Working is policies/{profile}.json: what people govern by pull request and
// what every released policy is generated from.
type Working struct {
	SchemaVersion    string          `json:"schema_version"`
	Profile          release.Profile `json:"profile"`
	AllowedTCBStatus []string        `json:"allowed_tcb_status"`
	TCBWaivers       []tcb.Waiver    `json:"tcb_waivers,omitempty"`
	Measurements     []Measurement   `json:"measurements"` // promoted, oldest first
	Revoked          []Revocation    `json:"revoked"`
}

// Revocation is a tuple that no policy may hold again, whichever release it
// came from; NodeRelease is the one that it was promoted for, for readers.
type Revocation struct {
	NodeRelease release.Tag `json:"node_release,omitzero"`
	tdx.Registers
	Reason    string `json:"reason"`
	RevokedOn string `json:"revoked_on,omitempty"` // YYYY-MM-DD; empty in what was written by hand
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
func (w *Working) Check() error { return first(w.checks()) }

// Findings are Check's checks one by one; one error does not hide the next.
func (w *Working) Findings() []Finding { return findings(w.checks()) }

func (w *Working) checks() []namedCheck {
	return []namedCheck{
		{"version and profile are known", func() error { return checkHead(w.SchemaVersion, w.Profile) }},
		{"TCB list is sane", w.TCB().Check},
		{"measurements are whole tuples", func() error { return checkTuples(w.Measurements) }},
		{"refreshed measurements are of the released image", func() error { return checkRefreshed(w.Measurements) }},
		{"revocations give a reason", func() error { return checkRevoked(w.Revoked) }},
	}
}

func checkRevoked(list []Revocation) error {
	if list == nil {
		return fault.Mismatch("revoked is missing", "a list", "nothing")
	}
	for i, r := range list {
		if err := checkRegisters(r.Registers); err != nil {
			return fmt.Errorf("revoked[%d]: %w", i, err)
		}
		if f := r.NodeRelease.Family; f != "" && f != release.Node {
			return fault.Mismatch("node_release of a revocation is not a node release",
				"mero-tee-vX.Y.Z", r.NodeRelease.String())
		}
		if slices.ContainsFunc(list[:i], func(o Revocation) bool { return o.Registers == r.Registers }) {
			return fault.Mismatch("a measurement is revoked twice", "each once", fmt.Sprintf("revoked[%d]", i))
		}
		if flaw := reason.Flaw(r.Reason); flaw != "" {
			return fault.Mismatch("a revocation gives no reason: "+flaw, "why, for those who come later",
				fmt.Sprintf("%.60q", r.Reason))
		}
		if _, err := time.Parse(time.DateOnly, r.RevokedOn); r.RevokedOn != "" && err != nil {
			return fault.Mismatch("revoked_on is not a day", "YYYY-MM-DD", fmt.Sprintf("%.60q", r.RevokedOn))
		}
	}
	return nil
}

// What says what was revoked, when, and why.
func (r Revocation) What() string {
	var of, on string
	if !r.NodeRelease.IsZero() {
		of = " of " + r.NodeRelease.String()
	}
	if r.RevokedOn != "" {
		on = " on " + r.RevokedOn
	}
	return fmt.Sprintf("a measurement%s that was revoked%s: %s", of, on, r.Reason)
}

// Revocation finds the entry that revokes the tuple; nil when it stands.
func (w *Working) Revocation(r tdx.Registers) *Revocation {
	if i := slices.IndexFunc(w.Revoked, func(x Revocation) bool { return x.Registers == r }); i >= 0 {
		return &w.Revoked[i]
	}
	return nil
}

// StillAdmits are those of the revocations whose tuples the policy holds: it was
// released before they were revoked, and its key service goes on giving keys.
func (p *Policy) StillAdmits(revoked []Revocation) []Revocation {
	return slices.DeleteFunc(slices.Clone(revoked), func(r Revocation) bool {
		return !slices.ContainsFunc(p.Measurements, func(m Measurement) bool { return m.Registers == r.Registers })
	})
}

// File is the name of a profile's working policy in policies/.
func File(p release.Profile) string { return string(p) + ".json" }

// The JSON schemas that lie beside the working policies.
const (
	SchemaFile        = "attestation-policy.schema.json"
	HostSchemaFile    = "host-tcb.schema.json" // of the list of the key service's host
	WorkingSchemaFile = "working-policy.schema.json"
)

// Files are the JSON files that lie in policies/; any other is a stranger.
func Files() []string {
	out := []string{SchemaFile, WorkingSchemaFile, HostSchemaFile}
	for _, p := range release.Profiles() {
		out = append(out, File(p))
	}
	return out
}

// LoadDir reads the working policies of all profiles from the root of fsys. A
// missing one has code MissingAsset; a JSON file with any other name is
// refused, so that a misspelt one is not silently left out.
func LoadDir(fsys fs.FS) (map[release.Profile]*Working, error) {
	if err := refuseStrangers(fsys); err != nil {
		return nil, err
	}
	return Load(func(name string) ([]byte, error) { return fs.ReadFile(fsys, name) })
}

// Load reads the working policies of all profiles, each by its File name. One
// that cannot be read has code MissingAsset.
func Load(read func(name string) ([]byte, error)) (map[release.Profile]*Working, error) {
	out := make(map[release.Profile]*Working, len(release.Profiles()))
	for _, p := range release.Profiles() {
		data, err := read(File(p))
		if err != nil {
			return nil, &fault.Error{Code: fault.MissingAsset, Message: "working policy of " + string(p),
				Expected: File(p), Err: err}
		}
		w, err := DecodeWorking(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", File(p), err)
		}
		if w.Profile != p {
			return nil, fmt.Errorf("%s: %w", File(p), fault.Mismatch("policy of another profile", string(p), string(w.Profile)))
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
		if !slices.Contains(Files(), name) {
			return fault.Mismatch("unknown file beside the working policies", "one {profile}.json per profile", name)
		}
	}
	return nil
}
