// Package evidence keeps what the boots of a node image proved: verified reports,
// whether they agree, and the evidence file with which anybody can verify them
// again.
//
// Its promise: an Observation exists only for a report that passed agent's
// Verify; registers are published only when at least two boots agree on them;
// and a register that does not agree is named with the events that moved it.
package evidence

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Observation is one boot, verified.
type Observation struct {
	Report  *agent.Report
	Verdict *tdx.Verdict
	Events  []tdx.Event // of all registers, replayed
}

// Observe verifies the report of a node of the profile over the nonce that it was sent.
func Observe(ctx context.Context, v *tdx.Verifier, profile release.Profile, nonce [32]byte, r *agent.Report) (*Observation, error) {
	verdict, err := r.Verify(ctx, v, profile, nonce)
	if err != nil {
		return nil, err
	}
	events, err := tdx.ParseCCEL(r.EventLog)
	return &Observation{Report: r, Verdict: verdict, Events: events}, err
}
