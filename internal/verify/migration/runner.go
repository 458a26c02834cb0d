package migration

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

const cleanupPatience = 2 * time.Minute

// Provider runs applications and updates one in place; *dstack.Client is one.
type Provider interface {
	e2e.Provider
	// Update has the application with this id run app.Compose, under the id, so
	// that its keys stay.
	Update(ctx context.Context, appID string, app dstack.App) (*dstack.Deployment, error)
}

var _ Provider = (*dstack.Client)(nil)

// Runner is where services run and nodes boot. All fields but Patience are required.
type Runner struct {
	ID       string // of this run: part of its deployment's name
	Provider Provider
	Nodes    agent.Nodes
	Verifier *tdx.Verifier
	HTTP     *http.Client
	Patience time.Duration // with an old application that answers behind its update; 0: three minutes
}

// Restart is steps 4 and 5 from beginning to end, with an application of its
// own: it runs the old release, serves a node, and is updated in place to the
// new one. The node, booted again, must get the key that it had. session is of a
// node release that both policies admit, nil when there is none. What was
// deployed is deleted when Restart returns.
func (r Runner) Restart(ctx context.Context, m Migration, session, node *measurement.Published) (out check.Results) {
	app := dstack.App{Name: dstack.Name(string(release.KMS), "migrate", string(m.Profile), r.ID),
		Compose: m.From.AppCompose, Image: m.From.Published.Image.OSImage, OSImageHash: m.From.Published.Image.OSImageHash}
	old, err := r.Provider.Deploy(ctx, app)
	if err == nil {
		defer func() { out = append(out, r.clear(ctx, old.ID)) }()
		err = e2e.Ready(ctx, r.HTTP, old.URL)
	}
	out = check.Results{check.Of(fmt.Sprintf("step 4: the service of %s is up", m.From.Tag), err)}
	if err != nil {
		return out
	}
	s := r.session(m, session)
	out = append(out, s.before(ctx, old.URL))
	app.Compose = m.To.AppCompose
	updated := r.update(ctx, m, old, app)
	if out = append(out, updated); !updated.OK() {
		return out
	}
	out = append(out, s.after(ctx, old.URL))
	return append(out, r.Verify(ctx, m, node, old.URL)...)
}

// update is the rolling restart. "Existing node connections are unaffected until
// they re-attest": what nodes know of the service, its id and its address, stays.
func (r Runner) update(ctx context.Context, m Migration, old *dstack.Deployment, app dstack.App) check.Result {
	name := fmt.Sprintf("step 4: rolling restart, %s runs in place of %s, under its id and address", m.To.Tag, m.From.Tag)
	if from, to := m.From.Published.Image.OSImage, m.To.Published.Image.OSImage; from != to {
		return check.Fail(name, fault.Verification, "an update in place does not change the OS image", to, from).
			WithHint("the provider changes it by a call of its own, under the same app id, which this trial does not make: do " +
				"both with an application of yours, then run the command with its address")
	}
	updated, err := r.Provider.Update(ctx, old.AppID, app)
	if err != nil {
		return check.Of(name, err)
	}
	if updated.AppID != old.AppID || updated.URL != old.URL {
		return check.Fail(name, fault.Verification, "the application is another one now, and so are its keys",
			old.AppID+" at "+old.URL, updated.AppID+" at "+updated.URL)
	}
	if err := e2e.Ready(ctx, r.HTTP, old.URL); err != nil {
		return check.Of(name, err)
	}
	return check.Of(name, r.await(ctx, place{m.To, old.URL}))
}

// await returns when the service proved to be the release, or with the reason
// why it did not in time: the old application may still answer behind an update
// that the provider calls done.
func (r Runner) await(ctx context.Context, p place) (failed error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(r.Patience, 3*time.Minute))
	defer cancel()
	schedule := retry.Policy{First: 100 * time.Millisecond, Most: 5 * time.Second}
	err := schedule.Until(ctx, p.url+" to attest as "+p.release.Tag.String(), func() (bool, error) {
		_, failed = r.attest(ctx, p)
		return failed == nil, nil
	})
	if err != nil && failed == nil {
		return err
	}
	return failed
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
	_, err = r.visit(ctx, m, node, to, nil)
	return append(out, check.Of(name, err))
}

// clear deletes what was deployed, also when ctx has ended.
func (r Runner) clear(ctx context.Context, id string) check.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer cancel()
	return check.Of("nothing is left behind", r.Provider.Delete(ctx, id))
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

// visit boots a node that asks the place for its key, after the place proved
// itself to us too. The result is what the node says of the key that it got.
func (r Runner) visit(ctx context.Context, m Migration, node *measurement.Published, p place,
	identity *[32]byte) (*agent.VisitResult, error) {
	proved, err := r.attest(ctx, p)
	if err != nil {
		return nil, err
	}
	config, err := e2e.Configure(p.url, p.expectation(r.Verifier))
	if err != nil {
		return nil, err
	}
	name := p.release.Tag.String()
	mission := agent.Mission{Nonce: agent.NewNonce(), Identity: identity,
		Visits: []agent.Visit{{Name: name, Config: config}}}
	report, err := r.boot(ctx, node, m.Profile, mission)
	if err != nil {
		return nil, err
	}
	if _, err := report.Verify(ctx, r.Verifier, m.Profile, mission.Nonce); err != nil {
		return nil, err
	}
	return r.released(ctx, report, name, proved.Verdict.Registers)
}

func (r Runner) boot(ctx context.Context, node *measurement.Published, p release.Profile,
	m agent.Mission) (*agent.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, e2e.BootPatience)
	defer cancel()
	return r.Nodes.Boot(ctx, node, p, m)
}

// released is a node's visit to the service with these registers, which gave it its key.
func (r Runner) released(ctx context.Context, report *agent.Report, visit string,
	service tdx.Registers) (*agent.VisitResult, error) {
	v, err := report.Visit(visit)
	if err != nil {
		return nil, err
	}
	if _, err := v.Verify(ctx, r.Verifier, service); err != nil {
		return nil, err
	}
	if err := v.Err(); err != nil {
		return nil, err
	}
	if !v.KeyReleased || !v.KeySame || !v.KeyOwn {
		return nil, fault.Mismatch("the node's key from "+visit,
			"a key, the same again, another than another peer's",
			fmt.Sprintf("a key: %t, the same: %t, its own: %t", v.KeyReleased, v.KeySame, v.KeyOwn))
	}
	return v, nil
}
