package e2e

import (
	"context"
	"errors"
	"fmt"
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
// ones under test, and of other policies than the released ones, say which.
func (s *stage) serviceLabel(m machine) string {
	return label("service", m, s.run.Release.KMS.Tag)
}

func (s *stage) nodeLabel(m machine) string { return label("node", m, s.run.Release.Node.Tag) }

func label(kind string, m machine, tested release.Tag) string {
	out := fmt.Sprintf("%s %s", kind, m.profile)
	if m.tag != tested {
		out += " of " + m.tag.String()
	}
	if m.policy != "" {
		out += " with " + m.policy
	}
	return out
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

// subject is a machine whose quotes are appraised, with the part of the test that this belongs to.
type subject struct {
	machine string
	profile release.Profile
	part    Part
	missing error // why there is no quote
}

// subjects are all machines of the run: each was to show a quote.
func (s *stage) subjects() (out []subject) {
	part := func(m machine, tested release.Tag, step Part) Part {
		if s.inNodeSuite(m, tested) {
			return step
		}
		return s.otherPart(step)
	}
	for _, v := range s.services {
		out = append(out, subject{s.serviceLabel(v.machine), v.profile,
			part(v.machine, s.run.Release.KMS.Tag, KMSAttestation), v.attested})
	}
	for _, n := range s.nodes {
		out = append(out, subject{s.nodeLabel(n.machine), n.profile,
			part(n.machine, s.run.Release.Node.Tag, BootVerification), n.unproven})
	}
	return out
}

// otherPart is where a machine belongs that is in the run for a guardrail, or
// that only the key release of the node suite needs.
func (s *stage) otherPart(step Part) Part {
	if s.run.has(GuardrailSuite) {
		return MeasurementConsistency
	}
	return step
}

// appraise has every quote appraised: a check for each machine of the explicit list.
func (s *stage) appraise(ctx context.Context) (Checks, []Appraisal) {
	subjects := s.subjects()
	checks, evidence := make(Checks, len(subjects)), make([][]Appraisal, len(subjects))
	var wg sync.WaitGroup
	for i, of := range subjects {
		wg.Go(func() {
			var r check.Result
			r, evidence[i] = s.appraiseMachine(ctx, of.machine, of.missing)
			checks[i] = NewCheck(of.part, r, of.profile)
		})
	}
	wg.Wait()
	return checks, slices.Concat(evidence...)
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
