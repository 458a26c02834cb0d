package evidence

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
)

// SchemaVersion is the only version of evidence files that is read: since 2, one
// of the machines was rebooted; since 3, the collateral is in the file, so that
// the boots can be verified as of their time; since 4, it says what Google has
// endorsed of the firmware.
const SchemaVersion = "4"

// Evidence is evidence-{profile}.json: the boots on which a profile's published
// registers rest, so that anybody can verify them again.
type Evidence struct {
	SchemaVersion string          `json:"schema_version"`
	Profile       release.Profile `json:"profile"`
	Image         string          `json:"image"` // its name
	Boots         []Boot          `json:"boots"` // at least two of new machines, and a reboot

	Collateral Collateral `json:"collateral"` // all verdicts rest on it

	Endorsement *Endorsement `json:"endorsement,omitempty"` // of the firmware; nil: nobody could ask for it
}

// Boot is one boot. REPORTDATA of the quote is nonce(32) and SHA-256(peer_id).
type Boot struct {
	Reboot   bool        `json:"reboot,omitempty"` // of a machine that had booted before, from the same disk
	PeerID   wire.PeerID `json:"peer_id"`
	Nonce    string      `json:"nonce"`     // 32 bytes in hex
	Quote    []byte      `json:"quote"`     // base64
	EventLog []byte      `json:"event_log"` // the CCEL, gzip, base64
	TCB      tdx.Status  `json:"tcb"`       // by the collateral, at that time
	Time     time.Time   `json:"time"`      // as of when the quote was verified, minutes after the boot

	Appraisal *Appraisal `json:"appraisal,omitempty"` // of Intel Trust Authority; absent when it was not asked
}

// Appraisal is Intel Trust Authority's token for the quote.
type Appraisal struct {
	ID    string `json:"id"`
	Token string `json:"token"`
}

// How many boots of new machines, and how many reboots, must agree before values are published.
const minBoots, minReboots = 2, 1

// Record is the evidence of one observation.
func (o *Observation) Record(a *Appraisal) (Boot, error) {
	log, err := compress(o.Report.EventLog)
	return Boot{Reboot: o.Reboot, PeerID: o.Report.PeerID, Nonce: o.Report.Nonce, Quote: o.Report.Quote, EventLog: log,
		TCB: o.Verdict.TCB, Time: o.Verdict.At.UTC().Truncate(time.Second), Appraisal: a}, err
}

// Encode renders the file canonically.
func (e *Evidence) Encode() ([]byte, error) { return canonical.Marshal(e) }

// DecodeEvidence reads the file strictly and checks its form; Observe verifies it.
func DecodeEvidence(data []byte) (*Evidence, error) {
	if err := known(data); err != nil {
		return nil, err
	}
	var e Evidence
	if err := canonical.Unmarshal(data, &e); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the evidence file is malformed", Err: err}
	}
	reboots := 0
	for _, b := range e.Boots {
		if b.Reboot {
			reboots++
		}
	}
	if fresh := len(e.Boots) - reboots; fresh < minBoots || reboots < minReboots {
		return nil, fault.Mismatch("evidence of too few boots",
			fmt.Sprintf("at least %d of new machines and %d of a machine that had booted before", minBoots, minReboots),
			fmt.Sprintf("%d and %d", fresh, reboots))
	}
	if e.Endorsement != nil && e.Endorsement.Asked.IsZero() {
		return nil, fault.Mismatch("the evidence does not say when Google was asked for its endorsement", "a time", "none")
	}
	return &e, e.Collateral.check()
}

// known refuses a file of another version before its form is looked at, which is another one.
func known(data []byte) error {
	var of struct {
		SchemaVersion string `json:"schema_version"`
	}
	if err := json.Unmarshal(data, &of); err != nil {
		return &fault.Error{Code: fault.Verification, Message: "the evidence file is malformed", Err: err}
	}
	switch of.SchemaVersion {
	case SchemaVersion:
		return nil
	case "1", "2":
		err := fault.Mismatch("evidence of version "+of.SchemaVersion+", which carries no collateral: "+
			"its boots cannot be verified as of their time", SchemaVersion, of.SchemaVersion)
		err.Hint = older
		return err
	case "3":
		err := fault.Mismatch("evidence of version 3, which does not say whether Google has endorsed the firmware",
			SchemaVersion, of.SchemaVersion)
		err.Hint = older
		return err
	}
	return fault.Mismatch("evidence of an unknown version", SchemaVersion, fmt.Sprintf("%.20q", of.SchemaVersion))
}

const older = "verify it with the sources of the release's own tag, or measure the images again"

// Observe verifies every boot again, as of its own time and by the collateral in
// the file alone, under one root (SHA-256 of its DER); and that all agree.
func (e *Evidence) Observe(ctx context.Context, root [32]byte) ([]*Observation, error) {
	kept, err := e.Collateral.open()
	if err != nil {
		return nil, err
	}
	v, err := tdx.NewVerifier(tdx.Config{Root: root, Collateral: kept})
	if err != nil {
		return nil, err
	}
	out := make([]*Observation, len(e.Boots))
	seen := map[string]bool{}
	for i, b := range e.Boots {
		if seen[b.Nonce] {
			return nil, fault.Mismatch("two boots have one nonce", "a fresh nonce for each", b.Nonce)
		}
		seen[b.Nonce] = true
		if err := kept.Check(root, b.Time); err != nil {
			return nil, unfit(i, err)
		}
		out[i], err = b.observe(ctx, v.AsOf(b.Time, kept), e.Profile)
		if errors.Is(err, tdx.ErrCollateral) || errors.As(err, new(*tdx.Unrated)) {
			return nil, unfit(i, err)
		}
		if err != nil {
			return nil, fmt.Errorf("boot %d: %w", i+1, err)
		}
	}
	if err := kept.used(); err != nil {
		return nil, err
	}
	return out, Agree(out)
}

// observe verifies one boot, and that what is said of its TCB is so.
func (b Boot) observe(ctx context.Context, v *tdx.Verifier, p release.Profile) (*Observation, error) {
	r, err := b.report(p)
	if err != nil {
		return nil, err
	}
	nonce, err := agent.ParseNonce(b.Nonce)
	if err != nil {
		return nil, fault.Mismatch("the nonce of a boot is malformed", "32 bytes in hex", fmt.Sprintf("%.70q", b.Nonce))
	}
	o, err := Observe(ctx, v, p, nonce, r)
	if err != nil {
		return nil, err
	}
	if o.Verdict.TCB != b.TCB {
		return nil, fault.Mismatch("the TCB status is another than the collateral says", string(o.Verdict.TCB), string(b.TCB))
	}
	o.Reboot = b.Reboot
	return o, nil
}

// Events are the event logs of the boots, unverified, for a comparison that people read.
func (e *Evidence) Events() ([]tdx.Event, error) {
	log, err := decompress(e.Boots[0].EventLog, agent.MaxEventLog)
	if err != nil {
		return nil, err
	}
	return tdx.ParseCCEL(log)
}

func (b Boot) report(p release.Profile) (*agent.Report, error) {
	log, err := decompress(b.EventLog, agent.MaxEventLog)
	if err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the event log of a boot cannot be read", Err: err}
	}
	return &agent.Report{Profile: p, PeerID: b.PeerID, Nonce: b.Nonce, Quote: b.Quote, EventLog: log}, nil
}

// Published is what published-mrtds.json says of the observed boots.
func (e *Evidence) Published(o []*Observation, image measurement.Image) measurement.Profile {
	r := o[0].Verdict.Registers
	return measurement.Profile{MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2, RTMR3: &r.RTMR3,
		Owners: measurement.OwnersOf(release.Node), Image: image,
		Evidence: measurement.Evidence{Quote: digest.Of(o[0].Report.Quote), EventLog: digest.Of(o[0].Report.EventLog),
			Collateral: e.Collateral.Digest(), Boots: len(o)}}
}

func compress(data []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(data)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

func decompress(packed []byte, most int64) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return file.ReadAll(r, most)
}
