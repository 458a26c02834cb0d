package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// stage is what a run has running.
type stage struct {
	run      *Run
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
func (t *Run) stage() *stage {
	s := &stage{run: t, order: including(t.Profiles, policyProfile), booted: including(t.Profiles, intrudingProfile)}
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
	s.counterpart(intrudingProfile).visits(s.released(policyProfile))
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
	added := s.run.service(r, p)
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
func (s *stage) released(p release.Profile) *service { return s.service(&s.run.Release, p) }
func (s *stage) counterpart(p release.Profile) *node { return s.node(s.run.Release.Node, p) }

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

// clear deletes every deployment, also when ctx has ended, and says which
// machines are still there. "Cleanup: Terminate the ephemeral VM instance."
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
		if err := s.run.Provider.Delete(ctx, d.ID); err != nil {
			errs = append(errs, fmt.Errorf("CVM %s: %w", d.ID, err))
		}
	}
	for _, node := range s.nodes {
		if node.left != nil {
			errs = append(errs, fmt.Errorf("%s: %w", s.nodeLabel(node.machine), node.left))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return check.Fail(name, fault.General, err.Error(), "every deployment and every node deleted",
			fmt.Sprintf("%d not deleted", len(errs))).
			WithHint("delete them by hand: they cost money")
	}
	return check.Pass(name)
}

const (
	// readyPatience bounds the wait for the policy: the service fetches it after
	// it began to listen, so "alive" comes before "ready".
	readyPatience = 3 * time.Minute
	maxHealth     = 64 << 10
)

// Ready waits until the service at url has its policy.
func Ready(ctx context.Context, client *http.Client, url string) error {
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	var h wire.Health
	var failed error
	p := retry.Policy{First: 10 * time.Millisecond, Most: 5 * time.Second}
	if p.Until(ctx, "the policy of "+url, func() (bool, error) {
		h, failed = health(ctx, client, url)
		return failed == nil && h.PolicyReady, nil
	}) != nil {
		return &fault.Error{Code: fault.General, Message: "the key service has no policy", Err: failed,
			Expected: "policyReady in /health", Got: h.PolicyReason + " (" + h.PolicyURL + ")"}
	}
	return nil
}

func health(ctx context.Context, client *http.Client, url string) (wire.Health, error) {
	var h wire.Health
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/health", nil)
	if err != nil {
		return h, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return h, err
	}
	defer resp.Body.Close()
	// to its end, or the connection is torn down under the next request
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(data, &h)
}
