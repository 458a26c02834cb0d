package migration

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

const cleanupPatience = 2 * time.Minute

// Runner is where services run and nodes boot. All fields are required.
type Runner struct {
	ID       string // of this run: part of its deployments' names
	Provider e2e.Provider
	Nodes    agent.Nodes
	Verifier *tdx.Verifier
	HTTP     *http.Client
}

// Restart is steps 4 and 5 from beginning to end: the old release is deployed;
// the new one is deployed beside it and takes over; a node whose session is
// with the old one still gets its key there, and re-attests to the new one.
// session is of a node release that both policies admit, nil when there is
// none. What it deployed is deleted when it returns.
func (r Runner) Restart(ctx context.Context, m Migration, session, node *measurement.Published) (out check.Results) {
	var deployed []string
	defer func() { out = append(out, r.clear(ctx, deployed)) }()
	deploy := func(to Release) (place, error) {
		d, err := r.Provider.Deploy(ctx, dstack.App{Name: dstack.Name(string(release.KMS), to.Tag.Version.String(),
			string(m.Profile), r.ID), Compose: to.AppCompose,
			Image: to.Published.Image.OSImage, OSImageHash: to.Published.Image.OSImageHash})
		if err != nil {
			return place{}, err
		}
		deployed = append(deployed, d.ID)
		return place{to, d.URL}, e2e.Ready(ctx, r.HTTP, d.URL)
	}
	from, err := deploy(m.From)
	if err != nil {
		return append(out, check.Of("step 4: the service of "+m.From.Tag.String(), err))
	}
	to, err := deploy(m.To)
	out = append(out, check.Of("step 4: rolling restart, "+m.To.Tag.String()+" is up", err))
	if err != nil {
		return out
	}
	out = append(out, r.session(ctx, m, session, from, to)...)
	return append(out, r.Verify(ctx, m, node, to.url)...)
}

// session: "Existing node connections are unaffected until they re-attest." The
// node of the session is one machine, which asks both services.
func (r Runner) session(ctx context.Context, m Migration, node *measurement.Published, from, to place) check.Results {
	const (
		lasting  = "step 4: a session with the old service still gets its key"
		renewing = "step 4: the session re-attests to the restarted service"
	)
	if node == nil {
		const why = "no node release is in both policies: every node must be upgraded before it re-attests"
		return check.Results{check.NotApplicable(lasting, why), check.NotApplicable(renewing, why)}
	}
	failed, err := r.visit(ctx, m, node, from, to)
	if err != nil {
		failed = []error{err, err}
	}
	return check.Results{check.Of(lasting, failed[0]), check.Of(renewing, failed[1])}
}

// Verify is step 5: "Run POST /attest against the restarted KMS and verify it
// returns a valid quote. Then test a key release from a node running the
// compatible image."
func (r Runner) Verify(ctx context.Context, m Migration, node *measurement.Published, url string) check.Results {
	to := place{m.To, url}
	_, err := r.attest(ctx, to)
	out := check.Results{check.Of(fmt.Sprintf("step 5: %s attests as %s", url, m.To.Tag), err)}
	name := fmt.Sprintf("step 5: a node of %s gets its key", node.Tag)
	if err != nil {
		return append(out, check.Fail(name, check.Of("", err).Code, "not asked: the service did not prove itself", "", ""))
	}
	failed, err := r.visit(ctx, m, node, to)
	if err == nil {
		err = failed[0]
	}
	return append(out, check.Of(name, err))
}

// clear deletes what was deployed, also when ctx has ended.
func (r Runner) clear(ctx context.Context, deployed []string) check.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer cancel()
	var errs []error
	for _, id := range deployed {
		errs = append(errs, r.Provider.Delete(ctx, id))
	}
	return check.Of("nothing is left behind", errors.Join(errs...))
}

// place is where a release's service is said to run.
type place struct {
	release Release
	url     string
}

func (p place) expectation(v *tdx.Verifier) agent.Expectation {
	r := p.release
	return agent.Expectation{Verifier: v, Registers: r.Published.Registers(), ComposeHash: compose.Hash(r.AppCompose),
		TCB: r.HostTCB, TCBFile: tcb.HostFile + ", as " + r.Tag.String() + " published it"}
}

// attest has the service prove to us that it is the release.
func (r Runner) attest(ctx context.Context, p place) (*agent.KMSReport, error) {
	return (&agent.Agent{HTTP: r.HTTP}).VerifyKMS(ctx, p.url, p.expectation(r.Verifier))
}

// visit boots a node that asks each place for its key, after the place proved
// itself to us too. The errors say, for each place, why the node has no key from
// it; the last one why nothing is known.
func (r Runner) visit(ctx context.Context, m Migration, node *measurement.Published, places ...place) ([]error, error) {
	mission := agent.Mission{Nonce: agent.NewNonce()}
	proved := make([]*agent.KMSReport, len(places))
	for i, p := range places {
		var err error
		if proved[i], err = r.attest(ctx, p); err != nil {
			return nil, err
		}
		config, err := e2e.Configure(p.url, p.expectation(r.Verifier))
		if err != nil {
			return nil, err
		}
		mission.Visits = append(mission.Visits, agent.Visit{Name: p.release.Tag.String(), Config: config})
	}
	report, err := r.boot(ctx, node, m.Profile, mission)
	if err != nil {
		return nil, err
	}
	if _, err := report.Verify(ctx, r.Verifier, m.Profile, mission.Nonce); err != nil {
		return nil, err
	}
	failed := make([]error, len(places))
	for i, visit := range mission.Visits {
		failed[i] = r.released(ctx, report, visit.Name, proved[i].Verdict.Registers)
	}
	return failed, nil
}

func (r Runner) boot(ctx context.Context, node *measurement.Published, p release.Profile,
	m agent.Mission) (*agent.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, e2e.BootPatience)
	defer cancel()
	return r.Nodes.Boot(ctx, node, p, m)
}

// released says why a node did not get its key from the service with these registers.
func (r Runner) released(ctx context.Context, report *agent.Report, visit string, service tdx.Registers) error {
	v, err := report.Visit(visit)
	if err != nil {
		return err
	}
	if _, err := v.Verify(ctx, r.Verifier, service); err != nil {
		return err
	}
	if err := v.Err(); err != nil {
		return err
	}
	if !v.KeyReleased || !v.KeySame || !v.KeyOwn {
		return fault.Mismatch("the node's key from "+visit,
			"a key, the same again, another than another peer's",
			fmt.Sprintf("a key: %t, the same: %t, its own: %t", v.KeyReleased, v.KeySame, v.KeyOwn))
	}
	return nil
}
