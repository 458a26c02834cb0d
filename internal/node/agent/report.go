package agent

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// MaxEventLog bounds the firmware's event log, in bytes.
const MaxEventLog = 1 << 20

// Report is what a node says, as JSON. Quote and event log prove it; the rest
// is the node's word.
type Report struct {
	Profile  release.Profile `json:"profile"`
	PeerID   wire.PeerID     `json:"peer_id"` // made for this run; REPORTDATA is nonce(32) and SHA-256(peer_id)
	Nonce    string          `json:"nonce"`   // 32 bytes in hex
	Quote    []byte          `json:"quote"`   // base64
	EventLog []byte          `json:"event_log"`
	Visits   []VisitResult   `json:"visits,omitempty"` // those of the mission, in its order, then the operator's
	Error    string          `json:"error,omitempty"`  // why the node proved nothing, or an operator's visit failed
	ExitCode fault.Code      `json:"exit_code"`
}

// Fail says in the report why the run failed.
func (r *Report) Fail(err error) { r.Error, r.ExitCode = describe(err), fault.CodeOf(err) }

// Visit finds the result of a visit. One that is missing is an error of code Verification.
func (r *Report) Visit(name string) (*VisitResult, error) {
	for i := range r.Visits {
		if r.Visits[i].Name == name {
			return &r.Visits[i], nil
		}
	}
	return nil, fault.Mismatch("a visit is not in the node's report", name, fmt.Sprintf("%d others", len(r.Visits)))
}

// Encode renders a report.
func (r *Report) Encode() ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	return canonical.Marshal(r)
}

// DecodeReport reads what a node wrote, which is believed in nothing but its
// form: see Verify. Errors have code Verification.
func DecodeReport(data []byte) (*Report, error) {
	r := new(Report)
	err := canonical.Unmarshal(data, r)
	if err == nil {
		err = r.check()
	}
	if err != nil {
		return nil, failed("the node's report", err)
	}
	return r, nil
}
