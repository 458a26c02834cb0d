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
	services map[release.Profile]*service
	nodes    map[release.Profile]*node
	order    []release.Profile // of services
	booted   []release.Profile // order of nodes
}

// service is one deployed key service; err says why there is none to talk to,
// attested why report is nil.
type service struct {
	deployment *dstack.Deployment
	err        error
	report     *agent.KMSReport
	attested   error
}

// node is one booted node. verdict is nil when err says why.
type node struct {
	agent   *agent.Agent
	verdict *tdx.Verdict
	err     error
}

func (t *Trial) stage() *stage {
	s := &stage{trial: t, services: map[release.Profile]*service{}, nodes: map[release.Profile]*node{},
		order: including(t.Profiles, fortress), booted: including(t.Profiles, intruder)}
	for _, p := range s.order {
		s.services[p] = &service{err: errors.New("not deployed"), attested: errors.New("not deployed")}
	}
	for _, p := range s.booted {
		s.nodes[p] = &node{err: errors.New("not booted")}
	}
	return s
}

// set brings everything up, all at once: minutes each, on real machines.
func (s *stage) set(ctx, nodes context.Context) {
	var wg sync.WaitGroup
	for p, service := range s.services {
		wg.Go(func() { s.deploy(ctx, p, service) })
	}
	for p, node := range s.nodes {
		wg.Go(func() { node.err = s.boot(nodes, p, node) })
	}
	wg.Wait()
}

// deploy runs the key service of a profile and has it attest itself.
func (s *stage) deploy(ctx context.Context, p release.Profile, out *service) {
	t := s.trial
	out.deployment, out.err = t.Provider.Deploy(ctx, dstack.App{
		Name:    dstack.Name(string(release.KMS), t.Release.KMS.Tag.Version.String(), string(p)),
		Compose: t.Release.AppCompose[p],
	})
	if out.err == nil {
		out.err = t.ready(ctx, out.deployment.URL)
	}
	out.attested = out.err
	if out.err == nil {
		out.report, out.attested = (&agent.Agent{HTTP: t.HTTP}).VerifyKMS(ctx, out.deployment.URL, t.expectation(p))
	}
}

// expectation is what the published measurements demand of a profile's key service.
func (t *Trial) expectation(p release.Profile) agent.Expectation {
	return agent.Expectation{Verifier: t.Verifier, AllowedTCB: t.AllowedTCB,
		Registers: t.Release.KMS.Profiles[p].Registers(), ComposeHash: t.Release.ComposeHash[p]}
}

// boot starts a node as its image does, profile first, and reads its registers
// from a quote over a fresh nonce.
func (s *stage) boot(ctx context.Context, p release.Profile, out *node) error {
	tsm, err := s.trial.Boot(ctx, p)
	if err != nil {
		return err
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	out.agent = &agent.Agent{TSM: tsm, HTTP: s.trial.HTTP, Profile: p, Key: key}
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
	for _, p := range s.order {
		d := s.services[p].deployment
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
	for _, p := range s.order {
		if r := s.services[p].report; r != nil {
			out = append(out, Observation{release.KMS, p, r.Verdict.Registers, r.Verdict.TCB})
		}
	}
	for _, p := range s.booted {
		if v := s.nodes[p].verdict; v != nil {
			out = append(out, Observation{release.Node, p, v.Registers, v.TCB})
		}
	}
	return out
}
