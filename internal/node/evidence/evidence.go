package evidence

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
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
// of the machines was rebooted.
const SchemaVersion = "2"

// Evidence is evidence-{profile}.json: the boots on which a profile's published
// registers rest, so that anybody can verify them again.
type Evidence struct {
	SchemaVersion string          `json:"schema_version"`
	Profile       release.Profile `json:"profile"`
	Image         string          `json:"image"` // its name
	Boots         []Boot          `json:"boots"` // at least two of new machines, and a reboot

	Collateral digest.Digest `json:"collateral"` // of what Intel's service said of the platforms
}

// Boot is one boot. REPORTDATA of the quote is nonce(32) and SHA-256(peer_id).
type Boot struct {
	Reboot   bool        `json:"reboot,omitempty"` // of a machine that had booted before, from the same disk
	PeerID   wire.PeerID `json:"peer_id"`
	Nonce    string      `json:"nonce"`     // 32 bytes in hex
	Quote    []byte      `json:"quote"`     // base64
	EventLog []byte      `json:"event_log"` // the CCEL, gzip, base64
	TCB      tdx.Status  `json:"tcb"`       // at the time of measuring
	Time     time.Time   `json:"time"`      // of the verification

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
func (o *Observation) Record(at time.Time, a *Appraisal) (Boot, error) {
	log, err := compress(o.Report.EventLog)
	return Boot{Reboot: o.Reboot, PeerID: o.Report.PeerID, Nonce: o.Report.Nonce, Quote: o.Report.Quote, EventLog: log,
		TCB: o.Verdict.TCB, Time: at.UTC().Truncate(time.Second), Appraisal: a}, err
}

// Encode renders the file canonically.
func (e *Evidence) Encode() ([]byte, error) { return canonical.Marshal(e) }

// DecodeEvidence reads the file strictly and checks its form; Observe verifies it.
func DecodeEvidence(data []byte) (*Evidence, error) {
	var e Evidence
	if err := canonical.Unmarshal(data, &e); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the evidence file is malformed", Err: err}
	}
	if e.SchemaVersion != SchemaVersion {
		return nil, fault.Mismatch("evidence of an unknown version", SchemaVersion, e.SchemaVersion)
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
	return &e, nil
}

// Observe verifies every boot again, as of its own nonce, and that all agree.
func (e *Evidence) Observe(ctx context.Context, v *tdx.Verifier) ([]*Observation, error) {
	out := make([]*Observation, len(e.Boots))
	seen := map[string]bool{}
	for i, b := range e.Boots {
		if seen[b.Nonce] {
			return nil, fault.Mismatch("two boots have one nonce", "a fresh nonce for each", b.Nonce)
		}
		seen[b.Nonce] = true
		r, err := b.report(e.Profile)
		if err != nil {
			return nil, err
		}
		nonce, err := agent.ParseNonce(b.Nonce)
		if err != nil {
			return nil, fault.Mismatch("the nonce of a boot is malformed", "32 bytes in hex", fmt.Sprintf("%.70q", b.Nonce))
		}
		if out[i], err = Observe(ctx, v, e.Profile, nonce, r); err != nil {
			return nil, fmt.Errorf("boot %d: %w", i+1, err)
		}
		out[i].Reboot = b.Reboot
	}
	return out, Agree(out)
}

// Events are the event logs of the boots, unverified, for a comparison that people read.
func (e *Evidence) Events() ([]tdx.Event, error) {
	log, err := decompress(e.Boots[0].EventLog)
	if err != nil {
		return nil, err
	}
	return tdx.ParseCCEL(log)
}

func (b Boot) report(p release.Profile) (*agent.Report, error) {
	log, err := decompress(b.EventLog)
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
			Collateral: e.Collateral, Boots: len(o)}}
}

func compress(log []byte) ([]byte, error) {
	var b bytes.Buffer
	w, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(log)
	err = errors.Join(err, w.Close())
	return b.Bytes(), err
}

func decompress(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return file.ReadAll(r, agent.MaxEventLog)
}

// Collateral remembers the digest of every piece of collateral that verdicts
// rest on. It is a tdx.CollateralSource.
type Collateral struct {
	Source tdx.CollateralSource

	mu   sync.Mutex
	seen map[string]digest.Digest
}

// GetContext asks the source and remembers its answer.
func (c *Collateral) GetContext(ctx context.Context, url string) (map[string][]string, []byte, error) {
	header, body, err := c.Source.GetContext(ctx, url)
	if err != nil {
		return nil, nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.seen == nil {
		c.seen = map[string]digest.Digest{}
	}
	c.seen[url] = digest.Of(body)
	return header, body, nil
}

// Digest is over the addresses and digests of everything seen, in order.
func (c *Collateral) Digest() digest.Digest {
	c.mu.Lock()
	defer c.mu.Unlock()
	h := sha256.New()
	for _, url := range slices.Sorted(maps.Keys(c.seen)) {
		fmt.Fprintf(h, "%s  %s\n", c.seen[url].Hex(), url)
	}
	return digest.Digest(h.Sum(nil))
}
