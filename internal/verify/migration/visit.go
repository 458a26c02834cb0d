package migration

import (
	"context"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// place is where a release's service is said to run.
type place struct {
	release Release
	url     string
}

func (p place) expectation(v *tdx.Verifier) agent.Expectation {
	r := p.release
	return agent.Expectation{Verifier: v, Registers: r.Published.Registers(), ComposeHash: compose.Hash(r.AppCompose), AllowedTCB: r.Policy.AllowedTCBStatus}
}

// attest has the service prove to us that it is the release.
func (f Field) attest(ctx context.Context, p place) (*agent.KMSReport, error) {
	return (&agent.Agent{HTTP: f.HTTP}).VerifyKMS(ctx, p.url, p.expectation(f.Verifier))
}

// visit boots a node that asks each place for its key, after the place proved
// itself to us too. The errors say, for each place, why the node has no key from
// it; the last one why nothing is known.
func (f Field) visit(ctx context.Context, m Migration, node *measurement.Published, places ...place) ([]error, error) {
	mission := agent.Mission{Nonce: agent.NewNonce()}
	proved := make([]*agent.KMSReport, len(places))
	for i, p := range places {
		var err error
		if proved[i], err = f.attest(ctx, p); err != nil {
			return nil, err
		}
		config, err := e2e.Configure(p.url, p.expectation(f.Verifier))
		if err != nil {
			return nil, err
		}
		mission.Visits = append(mission.Visits, agent.Visit{Name: p.release.Tag.String(), Config: config})
	}
	report, err := f.boot(ctx, node, m.Profile, mission)
	if err != nil {
		return nil, err
	}
	if _, err := report.Verify(ctx, f.Verifier, m.Profile, mission.Nonce); err != nil {
		return nil, err
	}
	failed := make([]error, len(places))
	for i, visit := range mission.Visits {
		failed[i] = f.released(ctx, report, visit.Name, proved[i].Verdict.Registers)
	}
	return failed, nil
}

func (f Field) boot(ctx context.Context, node *measurement.Published, p release.Profile, m agent.Mission) (*agent.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, e2e.BootPatience)
	defer cancel()
	return f.Nodes.Boot(ctx, node, p, m)
}

// released says why a node did not get its key from the service with these registers.
func (f Field) released(ctx context.Context, r *agent.Report, visit string, service tdx.Registers) error {
	v, err := r.Visit(visit)
	if err != nil {
		return err
	}
	if _, err := v.Verify(ctx, f.Verifier, service); err != nil {
		return err
	}
	if err := v.Err(); err != nil {
		return err
	}
	if !v.KeyReleased || !v.KeySame || !v.KeyOwn {
		return fault.Mismatch("the node's key from "+visit,
			"a key, the same again, another than another peer's", fmt.Sprintf("a key: %t, the same: %t, its own: %t", v.KeyReleased, v.KeySame, v.KeyOwn))
	}
	return nil
}
