package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Appraiser gives a second opinion of a quote and of our verdict; *ita.Client is one.
type Appraiser interface {
	Appraise(ctx context.Context, quote []byte, ours *tdx.Verdict) (*ita.Appraisal, error)
}

var _ Appraiser = (*ita.Client)(nil)

// Appraisal is the evidence of one quote that somebody else judged as we did.
type Appraisal struct {
	Machine string `json:"machine"` // "service locked-read-only", "node debug"
	ID      string `json:"id"`
	Token   string `json:"token"`
}

// sightings are the quotes that were seen and verified, by the machine that made them.
type sightings struct {
	mu sync.Mutex
	of map[string][]sighting
}

type sighting struct {
	quote   []byte
	verdict *tdx.Verdict
}

// serviceLabel and nodeLabel name a machine; those of other releases than the
// ones under test say which.
func (s *stage) serviceLabel(m machine) string {
	return label("service", m, s.run.Release.KMS.Tag)
}

func (s *stage) nodeLabel(m machine) string { return label("node", m, s.run.Release.Node.Tag) }

func label(kind string, m machine, tested release.Tag) string {
	if m.tag == tested {
		return fmt.Sprintf("%s %s", kind, m.profile)
	}
	return fmt.Sprintf("%s %s of %s", kind, m.profile, m.tag)
}

// add keeps a verified quote for appraisal. Every quote that a run sees comes here.
func (s *sightings) add(machine string, quote []byte, verdict *tdx.Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string][]sighting{}
	}
	s.of[machine] = append(s.of[machine], sighting{quote, verdict})
}

// appraise has every quote appraised: a check for each machine of the explicit
// list, then one for each other that was seen.
func (s *stage) appraise(ctx context.Context) (check.Results, []Appraisal) {
	var machines []string
	missing := map[string]error{}
	for _, service := range s.services {
		name := s.serviceLabel(service.machine)
		machines, missing[name] = append(machines, name), service.attested
	}
	for _, node := range s.nodes {
		name := s.nodeLabel(node.machine)
		machines, missing[name] = append(machines, name), node.unproven
	}
	for _, other := range slices.Sorted(maps.Keys(s.seen.of)) {
		if !slices.Contains(machines, other) {
			machines = append(machines, other)
		}
	}
	results, evidence := make(check.Results, len(machines)), make([][]Appraisal, len(machines))
	var wg sync.WaitGroup
	for i, m := range machines {
		wg.Go(func() { results[i], evidence[i] = s.appraiseMachine(ctx, m, missing[m]) })
	}
	wg.Wait()
	return results, slices.Concat(evidence...)
}

// appraiseMachine: one machine, all its quotes. missing says why there is none.
func (s *stage) appraiseMachine(ctx context.Context, machine string, missing error) (check.Result, []Appraisal) {
	name := machine + " is appraised by Intel Trust Authority as by us"
	if s.run.Appraiser == nil {
		return check.Skip(name, "nobody to ask: ITA_API_KEY is not set"), nil
	}
	seen := s.seen.of[machine]
	if len(seen) == 0 {
		return check.Of(name, fmt.Errorf("no verified quote: %w", missing)), nil
	}
	var evidence []Appraisal
	for _, q := range seen {
		a, err := s.run.Appraiser.Appraise(ctx, q.quote, q.verdict)
		if errors.Is(err, ita.ErrIncomparable) {
			return incomparable(name, err), evidence
		}
		if err != nil {
			return check.Of(name, err), evidence
		}
		evidence = append(evidence, Appraisal{machine, a.ID, a.Token})
	}
	return check.Pass(name), evidence
}

// incomparable: nobody disagreed, and nobody agreed.
func incomparable(name string, err error) check.Result {
	as := check.Of(name, err)
	return check.Skip(name,
		fmt.Sprintf("%s: the Trust Authority has %s; Intel's PCS has %s", as.Reason, as.Expected, as.Got))
}
