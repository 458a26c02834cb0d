package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/calimero-network/mero-tee/internal/agent"
	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/dstack"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/tdx"
)

// stage is what a trial has running.
type stage struct {
	trial    *Trial
	services []*service // in the order in which they were asked for
	nodes    []*node
	stale    *service          // guardrail C; nil when there is none
	order    []release.Profile // of the release's services
	booted   []release.Profile // of the counterpart's nodes
	seen     sightings
}

// machine says which release and profile a service or a node is of.
type machine struct {
	tag     release.Tag
	profile release.Profile
}

// service is one deployed key service; err says why there is none to talk to,
// attested why report is nil.
type service struct {
	machine
	app        dstack.App
	want       agent.Expectation
	deployment *dstack.Deployment
	err        error
	report     *agent.KMSReport
	attested   error
}

// node is one booted node. verdict is nil when err says why.
type node struct {
	machine
	agent   *agent.Agent
	verdict *tdx.Verdict
	err     error
}

func (t *Trial) stage() *stage {
	s := &stage{trial: t, order: including(t.Profiles, fortress), booted: including(t.Profiles, intruder)}
	if t.Stale != nil {
		s.order, s.booted = including(s.order, t.Stale.Profile), including(s.booted, t.Stale.Profile)
		s.stale = t.staleService()
		s.node(t.Stale.Admitted, t.Stale.Profile)
	}
	for _, p := range s.order {
		s.service(&t.Release, p)
	}
	for _, p := range s.booted {
		s.node(t.Release.Node.Tag, p)
	}
	for _, c := range t.others() {
		s.service(c.KMS, c.profile)
		s.node(c.Node, c.profile)
	}
	return s
}

// service finds the key service of a release and profile, or adds it to the stage.
func (s *stage) service(r *Release, p release.Profile) *service {
	m := machine{r.KMS.Tag, p}
	for _, there := range s.services {
		if there.machine == m {
			return there
		}
	}
	added := &service{machine: m, want: s.trial.expectation(r, p), err: errNotDeployed, attested: errNotDeployed,
		app: dstack.App{Name: dstack.Name(string(release.KMS), m.tag.Version.String(), string(p)), Compose: r.AppCompose[p]}}
	s.services = append(s.services, added)
	return added
}

// node finds the node of a release and profile, or adds it to the stage.
func (s *stage) node(tag release.Tag, p release.Profile) *node {
	m := machine{tag, p}
	for _, there := range s.nodes {
		if there.machine == m {
			return there
		}
	}
	added := &node{machine: m, err: errNotBooted}
	s.nodes = append(s.nodes, added)
	return added
}

// released and counterpart are the machines of the release under test.
func (s *stage) released(p release.Profile) *service { return s.service(&s.trial.Release, p) }
func (s *stage) counterpart(p release.Profile) *node { return s.node(s.trial.Release.Node.Tag, p) }

var (
	errNotDeployed = errors.New("not deployed")
	errNotBooted   = errors.New("not booted")
)

// deployed is every service, guardrail C's too.
func (s *stage) deployed() []*service {
	if s.stale == nil {
		return s.services
	}
	return append(s.services[:len(s.services):len(s.services)], s.stale)
}

// set brings everything up, all at once: minutes each, on real machines.
func (s *stage) set(ctx, nodes context.Context) {
	var wg sync.WaitGroup
	for _, service := range s.deployed() {
		wg.Go(func() { s.deploy(ctx, service) })
	}
	for _, node := range s.nodes {
		wg.Go(func() { node.err = s.boot(nodes, node) })
	}
	wg.Wait()
}

// deploy runs a key service and has it attest itself.
func (s *stage) deploy(ctx context.Context, out *service) {
	t := s.trial
	out.deployment, out.err = t.Provider.Deploy(ctx, out.app)
	if out.err == nil {
		out.err = Ready(ctx, t.HTTP, out.deployment.URL)
	}
	out.attested = out.err
	if out.err == nil {
		out.report, out.attested = (&agent.Agent{HTTP: t.HTTP}).VerifyKMS(ctx, out.deployment.URL, out.want)
	}
	if out.report != nil {
		s.seen.add(s.serviceLabel(out.machine), out.report.Quote, out.report.Verdict)
	}
}

// expectation is what the published measurements demand of a profile's key service.
func (t *Trial) expectation(r *Release, p release.Profile) agent.Expectation {
	return agent.Expectation{Verifier: t.Verifier, AllowedTCB: t.AllowedTCB,
		Registers: r.KMS.Profiles[p].Registers(), ComposeHash: r.ComposeHash[p]}
}

// boot starts a node as its image does, profile first, and reads its registers
// from a quote over a fresh nonce.
func (s *stage) boot(ctx context.Context, out *node) error {
	tsm, err := s.trial.Boot(ctx, out.tag, out.profile)
	if err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	out.agent = &agent.Agent{TSM: tsm, HTTP: s.trial.HTTP, Profile: out.profile, Key: key}
	if err := out.agent.ExtendProfile(); err != nil {
		return err
	}
	var nonce [64]byte
	_, _ = rand.Read(nonce[:]) // never fails
	quote, err := out.agent.Quote(nonce)
	if err != nil {
		return err
	}
	out.verdict, err = s.trial.Verifier.Verify(ctx, quote, nonce)
	if err == nil {
		s.seen.add(s.nodeLabel(out.machine), quote, out.verdict)
	}
	if err == nil || errors.Is(err, tdx.ErrCollateral) {
		return err
	}
	return &fault.Error{Code: fault.Verification, Message: "the node's quote", Err: err}
}

// clear deletes every deployment, also when ctx has ended.
func (s *stage) clear(ctx context.Context) check.Result {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupPatience)
	defer cancel()
	const name = "nothing is left behind"
	var errs []error
	for _, service := range s.deployed() {
		d := service.deployment
		if d == nil {
			continue
		}
		if err := s.trial.Provider.Delete(ctx, d.ID); err != nil {
			errs = append(errs, fmt.Errorf("CVM %s: %w", d.ID, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return check.Fail(name, fault.General, err.Error(), "every deployment deleted", fmt.Sprintf("%d not deleted", len(errs))).
			WithHint("delete them by hand: they cost money")
	}
	return check.Pass(name)
}

// observed lists the machines whose quotes were verified.
func (s *stage) observed() []Observation {
	var out []Observation
	for _, service := range s.services {
		if r := service.report; r != nil {
			out = append(out, Observation{release.KMS, service.tag.Version, service.profile, r.Verdict.Registers, r.Verdict.TCB})
		}
	}
	for _, node := range s.nodes {
		if v := node.verdict; v != nil {
			out = append(out, Observation{release.Node, node.tag.Version, node.profile, v.Registers, v.TCB})
		}
	}
	return out
}
