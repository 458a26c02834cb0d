package rehearsal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/agent"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/measurement"
	"github.com/calimero-network/mero-tee/internal/rehearsal/node"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

// boots is how often a simulated node is measured before its values are published.
const boots = 2

// measureNodes is the node release's published-mrtds.json.
func (w *World) measureNodes(ctx context.Context, tag release.Tag, commit string) ([]byte, error) {
	collateral := &recorder{source: tdx.NewCollateral(w.Env.Client()), seen: map[string][32]byte{}}
	v, err := tdx.NewVerifier(tdx.Config{Root: w.Env.TDXRoot, Collateral: collateral, Now: time.Now})
	if err != nil {
		return nil, err
	}
	published := &measurement.Published{SchemaVersion: measurement.SchemaVersion, Family: release.Node, Tag: tag, Commit: commit,
		Profiles: map[release.Profile]measurement.Profile{}}
	for _, profile := range release.Profiles() {
		image := node.Image{Version: tag.Version, Profile: profile}
		m, err := w.measureNode(ctx, v, image)
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", profile, err)
		}
		m.Image = measurement.Image{Name: image.Name(), Digest: image.Digest()}
		m.Evidence.Collateral = collateral.digest()
		published.Profiles[profile] = m
	}
	return published.Encode()
}

// measureNode boots a node several times; its registers must agree.
func (w *World) measureNode(ctx context.Context, v *tdx.Verifier, image node.Image) (measurement.Profile, error) {
	out, err := w.observe(ctx, v, image)
	for range boots - 1 {
		if err != nil {
			return out, err
		}
		var again measurement.Profile
		again, err = w.observe(ctx, v, image)
		if diffs := out.Compare(again.Registers()); err == nil && len(diffs) > 0 {
			return out, &fault.Error{Code: fault.Verification, Message: diffs[0].Name + " differs between two boots",
				Expected: diffs[0].Want.String(), Got: diffs[0].Got.String()}
		}
	}
	out.Evidence.Boots = boots
	return out, err
}

// observe boots a node once and verifies the quote its agent makes.
func (w *World) observe(ctx context.Context, v *tdx.Verifier, image node.Image) (measurement.Profile, error) {
	m, err := image.Boot(w.platform)
	if err != nil {
		return measurement.Profile{}, err
	}
	a := &agent.Agent{TSM: m.TSM(), Profile: image.Profile}
	if err := a.ExtendProfile(); err != nil {
		return measurement.Profile{}, err
	}
	var nonce [64]byte
	_, _ = rand.Read(nonce[:]) // never fails
	quote, err := a.Quote(nonce)
	if err != nil {
		return measurement.Profile{}, err
	}
	verdict, err := v.Verify(ctx, quote, nonce)
	if err != nil {
		return measurement.Profile{}, err
	}
	r := verdict.Registers
	return measurement.Profile{MRTD: r.MRTD, RTMR0: r.RTMR0, RTMR1: r.RTMR1, RTMR2: r.RTMR2, RTMR3: &r.RTMR3,
		Owners:   measurement.OwnersOf(release.Node),
		Evidence: measurement.Evidence{Source: "simulated node", Quote: measurement.Sum(quote), EventLog: measurement.Sum(m.Log.CCEL())}}, nil
}

// recorder remembers the digest of every piece of collateral that a verdict rests on.
type recorder struct {
	source tdx.CollateralSource
	mu     sync.Mutex
	seen   map[string][32]byte
}

// GetContext has go-tdx-guest's shape.
func (r *recorder) GetContext(ctx context.Context, url string) (map[string][]string, []byte, error) {
	header, body, err := r.source.GetContext(ctx, url)
	if err == nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.seen[url] = sha256.Sum256(body)
	}
	return header, body, err
}

// digest is over the addresses and digests of everything seen, in order.
func (r *recorder) digest() measurement.SHA256 {
	r.mu.Lock()
	defer r.mu.Unlock()
	h := sha256.New()
	for _, url := range slices.Sorted(maps.Keys(r.seen)) {
		fmt.Fprintf(h, "%x  %s\n", r.seen[url], url)
	}
	return measurement.SHA256(h.Sum(nil))
}
