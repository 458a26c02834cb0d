package tdx

import (
	"context"
	"time"
)

// SetClock replaces the clock by which answers are kept.
func (c *Collateral) SetClock(now func() time.Time) { c.now = now }

// Remembered is how many platforms the verifier has proven genuine.
func (v *Verifier) Remembered() int {
	v.accepted.mu.Lock()
	defer v.accepted.mu.Unlock()
	return len(v.accepted.platforms)
}

// FillMemory leaves room for no further platform.
func (v *Verifier) FillMemory() {
	v.accepted.mu.Lock()
	defer v.accepted.mu.Unlock()
	clear(v.accepted.platforms)
	for i := range uint16(maxPlatforms) {
		v.accepted.platforms[[32]byte{byte(i), byte(i >> 8)}] = nil
	}
}

// Forget makes every platform a new one.
func (v *Verifier) Forget() {
	v.accepted.mu.Lock()
	defer v.accepted.mu.Unlock()
	clear(v.accepted.platforms)
}

// Recalls says whether the verifier needs one signature alone for this quote.
func (v *Verifier) Recalls(ctx context.Context, raw []byte) bool {
	e, err := parseEvidence(raw)
	return err == nil && v.recall(ctx, e) != nil
}
