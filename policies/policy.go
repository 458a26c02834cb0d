// Package policies knows what an attestation policy is: which nodes may get
// keys from a key service, and where each measurement came from.
//
// Its promise: a policy that it decoded says one thing only. It admits whole
// tuples of registers, so values of two releases cannot be mixed, and every
// tuple names the node release and the evidence that vouch for it. Reading,
// generating and promoting are pure functions.
package policies

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// SchemaVersion is the only version of the policy files.
const SchemaVersion = "1"

// Status says whether a policy is in force; the zero value means it is.
type Status string

// NotReady is the spec's policy_not_ready: in a release candidate, and only
// there, registers are recorded but not yet enforced.
const NotReady Status = "policy_not_ready"

// Schema is the JSON schema of a Policy (draft 2020-12).
//
//go:embed attestation-policy.schema.json
var Schema []byte

// WorkingSchema is the JSON schema of a Working (draft 2020-12).
//
//go:embed working-policy.schema.json
var WorkingSchema []byte

// HostSchema is the JSON schema of a tcb.Host (draft 2020-12).
//
//go:embed host-tcb.schema.json
var HostSchema []byte

// Policy is attestation-policy-{profile}.json. The flat lists are what a
// reader of the file sees first; the measurements decide.
type Policy struct {
	SchemaVersion    string          `json:"schema_version"`
	KMSVersion       release.Version `json:"kms_version"`
	Profile          release.Profile `json:"profile"`
	Status           Status          `json:"status,omitempty"`
	AllowedMRTD      []tdx.Register  `json:"allowed_mrtd"`
	AllowedRTMR0     []tdx.Register  `json:"allowed_rtmr0"`
	AllowedRTMR1     []tdx.Register  `json:"allowed_rtmr1"`
	AllowedRTMR2     []tdx.Register  `json:"allowed_rtmr2"`
	AllowedRTMR3     []tdx.Register  `json:"allowed_rtmr3"`
	AllowedTCBStatus []string        `json:"allowed_tcb_status"`
	TCBWaivers       []tcb.Waiver    `json:"tcb_waivers,omitempty"` // what is accepted besides, why, and until when
	Measurements     []Measurement   `json:"measurements"`
}

// Decode reads a policy strictly (white space apart, its bytes are those of
// Encode) and checks it; its errors have code Verification.
func Decode(data []byte) (*Policy, error) {
	p := new(Policy)
	if err := canonical.Unmarshal(data, p); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "not an attestation policy", Err: err}
	}
	encoded, err := p.Encode()
	if err != nil {
		return nil, err
	}
	if err := sameJSON(data, encoded); err != nil {
		return nil, err
	}
	return p, nil
}

// sameJSON refuses what says the same in other words: encoding/json takes
// "Profile" for "profile", other readers of the file do not.
func sameJSON(data, encoded []byte) error {
	var a, b bytes.Buffer
	if err := errors.Join(json.Compact(&a, data), json.Compact(&b, encoded)); err != nil {
		return err
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		return fault.Mismatch("the policy is not in its canonical form",
			"the keys of the schema, spelt and ordered as there", "others")
	}
	return nil
}

// Encode checks the policy and renders its canonical bytes.
func (p *Policy) Encode() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return canonical.Marshal(p)
}

// NotReady says that registers are not enforced (release candidates only).
func (p *Policy) NotReady() bool { return p.Status == NotReady }

// Finding is what one of a policy's checks found.
type Finding struct {
	Name string
	Err  error // nil: it is in order; else of code Verification
}

type namedCheck struct {
	name string
	run  func() error
}

// first stops at the first error, so that what is broken is not looked at any further.
func first(checks []namedCheck) error {
	for _, c := range checks {
		if err := c.run(); err != nil {
			return err
		}
	}
	return nil
}

func findings(checks []namedCheck) []Finding {
	out := make([]Finding, len(checks))
	for i, c := range checks {
		out[i] = Finding{c.name, c.run()}
	}
	return out
}

// Check says whether the policy means something: known version, profile and
// status, sound tuples, flat lists that agree with them, a TCB list of known
// statuses. Its errors have code Verification.
func (p *Policy) Check() error { return first(p.checks()) }

// Findings are Check's checks one by one; one error does not hide the next.
func (p *Policy) Findings() []Finding { return findings(p.checks()) }

func (p *Policy) checks() []namedCheck {
	return []namedCheck{
		{"version and profile are known", func() error { return checkHead(p.SchemaVersion, p.Profile) }},
		{"status is that of its release", p.checkStatus},
		{"TCB list is sane", p.TCB().Check},
		{"measurements are whole tuples", func() error { return checkTuples(p.Measurements) }},
		{"flat lists equal the tuples", p.checkLists},
	}
}

func checkHead(schema string, profile release.Profile) error {
	if schema != SchemaVersion {
		return fault.Mismatch("unknown schema_version", SchemaVersion, schema)
	}
	if !slices.Contains(release.Profiles(), profile) {
		return fault.Mismatch("unknown profile", fmt.Sprint(release.Profiles()), string(profile))
	}
	return nil
}

// "A stable release with policy_not_ready is a release blocker."
func (p *Policy) checkStatus() error {
	switch {
	case p.KMSVersion == (release.Version{}):
		return fault.Mismatch("kms_version is missing", "X.Y.Z or X.Y.Z-rc.N", "nothing")
	case p.Status != "" && !p.NotReady():
		return fault.Mismatch("unknown status", string(NotReady)+" or no status", string(p.Status))
	case p.NotReady() && !p.KMSVersion.IsCandidate():
		return fault.Mismatch("policy_not_ready in a stable release",
			"a policy in force for "+p.KMSVersion.String(), string(p.Status))
	case !p.NotReady() && len(p.Measurements) == 0:
		return fault.Mismatch("a policy in force holds no measurement", "at least one", "none")
	}
	return nil
}

func (p *Policy) checkLists() error {
	lists, want := p.lists(), flatten(p.Measurements)
	for i, name := range tdx.RegisterNames() {
		if lists[i] == nil {
			return fault.Mismatch("allowed_"+name+" is missing", "a list", "nothing")
		}
		if !slices.Equal(lists[i], want[i]) {
			return fault.Mismatch("allowed_"+name+" does not agree with the measurements",
				fmt.Sprint(want[i]), fmt.Sprint(lists[i]))
		}
	}
	return nil
}

func (p *Policy) lists() [5][]tdx.Register {
	return [5][]tdx.Register{p.AllowedMRTD, p.AllowedRTMR0, p.AllowedRTMR1, p.AllowedRTMR2, p.AllowedRTMR3}
}

// flatten derives the flat lists: each value once, in the order in which the tuples first show it.
func flatten(tuples []Measurement) [5][]tdx.Register {
	var out [5][]tdx.Register
	for i := range out {
		out[i] = []tdx.Register{}
	}
	for _, m := range tuples {
		for i, v := range m.Values() {
			if !slices.Contains(out[i], v) {
				out[i] = append(out[i], v)
			}
		}
	}
	return out
}
