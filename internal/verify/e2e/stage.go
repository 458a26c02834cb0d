package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
)

// stage is what a run has running.
type stage struct {
	run      *Run
	services []*service // in the order in which they were asked for
	nodes    []*node
	order    []release.Profile // of the release's services that guardrail D looks at
	booted   []release.Profile // of the counterpart's nodes that it looks at
	seen     sightings
}

// machine says which release and profile a service or a node is of.
type machine struct {
	tag     release.Tag
	profile release.Profile
	policy  string // of a service that does not have its release's own: which one
}

// title is how a service is named in checks.
func (m machine) title() string {
	return fmt.Sprintf("service %s of %s with %s", m.profile, m.tag, m.policyTitle())
}

func (m machine) policyTitle() string {
	if m.policy == "" {
		return "its released policy"
	}
	return m.policy
}

var (
	errNotDeployed = errors.New("not deployed")
	errNotBooted   = errors.New("not booted")
)

// stage plans what runs, and which services each node visits: a node is booted
// once and carries out one mission, for whichever suites there are.
func (t *Run) stage() *stage {
	s := &stage{run: t}
	for _, p := range t.Profiles {
		s.counterpart(p).visits(s.released(p), s.admitting(&t.Release, t.Release.Node, p))
	}
	if !t.has(GuardrailSuite) {
		return s
	}
	s.order, s.booted = including(t.Profiles, policyProfile), including(t.Profiles, intrudingProfile)
	for _, c := range t.others() {
		s.node(c.Node, c.profile).visits(s.admitting(c.KMS, c.Node, c.profile))
	}
	s.counterpart(intrudingProfile).visits(s.released(policyProfile))
	for _, c := range t.Stale {
		if c.Err != nil {
			continue
		}
		s.order, s.booted = including(s.order, c.Profile), including(s.booted, c.Profile)
		s.counterpart(c.Profile).visits(s.stale(c), s.admitting(&t.Release, t.Release.Node, c.Profile))
		if c.Admitted != nil {
			s.node(c.Admitted, c.Profile).visits(s.stale(c))
		}
	}
	for _, p := range s.order {
		s.released(p)
	}
	return s
}

// service finds a key service of a release, or adds it to the stage. With a
// policy of another release's making it runs app, not the released file.
func (s *stage) service(r *Release, p release.Profile, policy string, app []byte) *service {
	m := machine{r.KMS.Tag, p, policy}
	for _, there := range s.services {
		if there.machine == m {
			return there
		}
	}
	added := s.run.service(r, m, app)
	s.services = append(s.services, added)
	return added
}

// node finds the node of a release and profile, or adds it to the stage.
func (s *stage) node(published *measurement.Published, p release.Profile) *node {
	m := machine{tag: published.Tag, profile: p}
	for _, there := range s.nodes {
		if there.machine == m {
			return there
		}
	}
	added := &node{machine: m, published: published, err: errNotBooted, unproven: errNotBooted}
	s.nodes = append(s.nodes, added)
	return added
}

// released and counterpart are the machines of the release under test, unchanged.
func (s *stage) released(p release.Profile) *service {
	r := &s.run.Release
	return s.service(r, p, "", r.AppCompose[p])
}

func (s *stage) counterpart(p release.Profile) *node { return s.node(s.run.Release.Node, p) }

// PromotedPolicy says which policy a service has that was made to admit a newer node release.
const PromotedPolicy = "the policy that policy:promote would make"

// admitting is the service of a release that admits a node: the released one,
// unless its policy is older than its counterpart.
func (s *stage) admitting(r *Release, node *measurement.Published, p release.Profile) *service {
	if app := r.Updated[p]; app != nil && r.Node.Tag == node.Tag {
		return s.service(r, p, PromotedPolicy, app)
	}
	return s.service(r, p, "", r.AppCompose[p])
}

// set brings everything up: all services at once, then, because their addresses
// are in the missions, all nodes at once. Minutes each, on real machines.
func (s *stage) set(ctx context.Context) {
	each(s.services, func(v *service) { s.deploy(ctx, v) })
	each(s.nodes, func(n *node) { s.boot(ctx, n) })
}

func each[T any](list []T, do func(T)) {
	var wg sync.WaitGroup
	for _, v := range list {
		wg.Go(func() { do(v) })
	}
	wg.Wait()
}

// deployments lists the services that ran, and in what they differ from their releases.
func (s *stage) deployments() []Deployed {
	var out []Deployed
	for _, v := range s.services {
		if v.deployment != nil {
			out = append(out, Deployed{KMS: v.tag, Profile: v.profile, Unchanged: v.policy == "", Policy: v.policy,
				ComposeHash: compose.Hash(v.app.Compose)})
		}
	}
	return out
}

// observed lists the machines whose quotes were verified, and that are as released.
func (s *stage) observed() []Observation {
	var out []Observation
	for _, service := range s.services {
		if r := service.report; r != nil && service.policy == "" {
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

// readyPatience bounds the wait for the policy: the service fetches it after
// it began to listen, so "alive" comes before "ready".
const readyPatience = 3 * time.Minute

// Ready waits until the service at url has its policy.
func Ready(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	var h wire.Health
	var failed error
	p := retry.Policy{First: 10 * time.Millisecond, Most: 5 * time.Second}
	if p.Until(ctx, "the policy of "+url, func() (bool, error) {
		h, failed = agent.AskHealth(ctx, client, url)
		return failed == nil && h.PolicyReady, nil
	}) != nil {
		return &fault.Error{Code: fault.General, Message: "the key service has no policy", Err: failed,
			Expected: "policyReady in /health", Got: h.PolicyReason + " (" + h.PolicyURL + ")"}
	}
	return nil
}
