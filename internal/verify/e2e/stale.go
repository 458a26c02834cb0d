package e2e

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Stale is guardrail C's deployment: the released image of a profile, told to
// load a policy from before the counterpart was promoted.
type Stale struct {
	Profile    release.Profile
	AppCompose []byte                 // names the older policy, so it has a compose hash of its own
	Admitted   *measurement.Published // a node release that the older policy admits
}

func (t *Trial) staleService() *service {
	r, p := &t.Release, t.Stale.Profile
	want := t.expectation(r, p)
	want.ComposeHash = compose.Hash(t.Stale.AppCompose)
	return &service{machine: machine{r.KMS.Tag, p}, want: want, err: errNotDeployed, attested: errNotDeployed,
		app: dstack.App{Name: dstack.Name(string(release.KMS), r.KMS.Tag.Version.String(), "older-policy"), Compose: t.Stale.AppCompose}}
}

// stalePolicy is guardrail C: "Deploy the new node-image with an old KMS
// policy. Verify it fails (MRTD mismatch). Then update the policy and verify it
// succeeds." That an older node gets its key from the same deployment shows
// that it is the policy which refuses, and nothing else.
func (s *stage) stalePolicy() check.Result {
	t := s.trial
	name := fmt.Sprintf("a new node is refused under an older policy with %s, and gets its key once the policy is updated", violation)
	switch {
	case t.Release.NotReady:
		return check.Skip(name, acceptsAll)
	case t.Stale == nil:
		return check.NotApplicable(name, "the policy admits one node release, so there is no older policy")
	}
	p := t.Stale.Profile
	node, older, updated := s.counterpart(p), s.node(t.Stale.Admitted, p), s.released(p)
	if r := refusedByPolicy(name, s.stale, node); r.Status != check.Passed {
		return r
	}
	if r := keyRelease(name, s.stale, older); r.Status != check.Passed {
		return but(r, fmt.Sprintf("the node of %s, which the older policy admits", older.tag))
	}
	if r := keyRelease(name, updated, node); r.Status != check.Passed {
		return but(r, "after the update")
	}
	return check.Pass(name)
}

// but says in which situation a check failed.
func but(r check.Result, where string) check.Result {
	r.Reason = where + ": " + r.Reason
	return r
}
