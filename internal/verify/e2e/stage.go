package e2e

import (
	"context"
	"errors"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/release"
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

var (
	errNotDeployed = errors.New("not deployed")
	errNotBooted   = errors.New("not booted")
)

// stage plans what runs, and which services each node visits: a node is booted
// once and carries out one mission.
func (t *Trial) stage() *stage {
	s := &stage{trial: t, order: including(t.Profiles, fortress), booted: including(t.Profiles, intruder)}
	if t.Stale != nil {
		s.order, s.booted = including(s.order, t.Stale.Profile), including(s.booted, t.Stale.Profile)
		s.stale = t.staleService()
		s.node(t.Stale.Admitted, t.Stale.Profile).visits(s.stale)
		s.counterpart(t.Stale.Profile).visits(s.stale, s.released(t.Stale.Profile))
	}
	for _, p := range s.order {
		s.released(p)
	}
	for _, p := range s.booted {
		s.counterpart(p)
	}
	for _, p := range t.Profiles {
		s.counterpart(p).visits(s.released(p))
	}
	for _, c := range t.others() {
		s.node(c.Node, c.profile).visits(s.service(c.KMS, c.profile))
	}
	s.counterpart(intruder).visits(s.released(fortress))
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
	added := s.trial.service(r, p)
	s.services = append(s.services, added)
	return added
}

// node finds the node of a release and profile, or adds it to the stage.
func (s *stage) node(published *measurement.Published, p release.Profile) *node {
	m := machine{published.Tag, p}
	for _, there := range s.nodes {
		if there.machine == m {
			return there
		}
	}
	added := &node{machine: m, published: published, err: errNotBooted, unproven: errNotBooted}
	s.nodes = append(s.nodes, added)
	return added
}

// released and counterpart are the machines of the release under test.
func (s *stage) released(p release.Profile) *service { return s.service(&s.trial.Release, p) }
func (s *stage) counterpart(p release.Profile) *node { return s.node(s.trial.Release.Node, p) }

// deployed is every service, guardrail C's too.
func (s *stage) deployed() []*service {
	if s.stale == nil {
		return s.services
	}
	return append(s.services[:len(s.services):len(s.services)], s.stale)
}

// set brings everything up: all services at once, then, because their addresses
// are in the missions, all nodes at once. Minutes each, on real machines.
func (s *stage) set(ctx context.Context) {
	each(s.deployed(), func(v *service) { s.deploy(ctx, v) })
	each(s.nodes, func(n *node) { s.boot(ctx, n) })
}

func each[T any](list []T, do func(T)) {
	var wg sync.WaitGroup
	for _, v := range list {
		wg.Go(func() { do(v) })
	}
	wg.Wait()
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
