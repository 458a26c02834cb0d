package agent

import (
	"errors"
	"fmt"
	"slices"

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
	Health   *Health         `json:"health,omitempty"` // when the mission asks for it
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

const (
	maxQuote = 64 << 10
	maxText  = 8 << 10
)

func (r *Report) check() error {
	if _, err := release.ParseProfile(string(r.Profile)); err != nil {
		return err
	}
	if len(r.Quote) > maxQuote || len(r.EventLog) > MaxEventLog || len(r.Visits) > maxVisits+1 {
		return fmt.Errorf("a quote of %d bytes, an event log of %d, %d visits: more than %d, %d, %d",
			len(r.Quote), len(r.EventLog), len(r.Visits), maxQuote, MaxEventLog, maxVisits+1)
	}
	err := errors.Join(checkTexts(r.Error), checkCode(r.Error, r.ExitCode), r.checkIdentity(), r.Health.check())
	if err != nil {
		return err
	}
	names := uniqueNames{}
	for _, v := range r.Visits {
		if err := errors.Join(names.add(v.Name), v.check()); err != nil {
			return err
		}
	}
	return nil
}

// checkIdentity: both are empty when the run failed before it had them.
func (r *Report) checkIdentity() error {
	if r.Error != "" && r.PeerID == "" && r.Nonce == "" {
		return nil
	}
	if _, err := wire.ParsePeerID(string(r.PeerID)); err != nil {
		return err
	}
	if _, err := ParseNonce(r.Nonce); err != nil {
		return errors.New("the nonce is not 32 bytes in hex")
	}
	return nil
}

func (v *VisitResult) check() error {
	texts := []string{v.URL, v.TCB, v.Error}
	if v.Refusal != nil {
		texts = append(texts, v.Refusal.Path, v.Refusal.Tag, v.Refusal.Details)
	}
	if len(v.Quote) > maxQuote || len(v.Nonce) > 32 || len(v.TransportKey) > 32 || len(v.KeyDigest) > 32 {
		return fmt.Errorf("visit %s: a quote of %d bytes, a nonce of %d, a transport key of %d, a key's digest of %d", v.Name,
			len(v.Quote), len(v.Nonce), len(v.TransportKey), len(v.KeyDigest))
	}
	if v.Refusal != nil && v.Error == "" {
		return fmt.Errorf("visit %s: refused without an error", v.Name)
	}
	return errors.Join(checkTexts(texts...), checkCode(v.Error, v.ExitCode))
}

// checkCode: an error has one of the codes of package fault, success none.
func checkCode(text string, code fault.Code) error {
	known := []fault.Code{fault.General, fault.Usage, fault.Verification, fault.MissingAsset}
	if text == "" {
		known = []fault.Code{fault.Success}
	}
	if !slices.Contains(known, code) {
		return fmt.Errorf("exit code %d does not go with error %.80q", code, text)
	}
	return nil
}

func checkTexts(texts ...string) error {
	for _, t := range texts {
		if clean(t) != t {
			return fmt.Errorf("a text of %d bytes is too long or holds control characters: %.40q", len(t), t)
		}
	}
	return nil
}
