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
	TCBWaivers       []Waiver        `json:"tcb_waivers,omitempty"` // why a status that needs a reason is in the list
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
