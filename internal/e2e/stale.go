package e2e

import (
	"context"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/compose"
	"github.com/calimero-network/mero-tee/internal/dstack"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Stale is guardrail C's deployment: the released image of a profile, told to
// load a policy from before the counterpart was promoted.
type Stale struct {
	Profile    release.Profile
	AppCompose []byte      // names the older policy, so it has a compose hash of its own
	Admitted   release.Tag // a node release that the older policy admits
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
func (s *stage) stalePolicy(ctx context.Context) check.Result {
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
	if err := errors.Join(s.stale.attested, node.err, older.err, updated.err); err != nil {
		return check.Of(name, err)
	}
	if r := refusedByPolicy(ctx, name, s.stale, node); r.Status != check.Passed {
		return r
	}
	if _, err := older.agent.GetKey(ctx, s.stale.deployment.URL); err != nil {
		return unreleased(name, fmt.Sprintf("200 and a key for the node of %s, which the older policy admits", older.tag), err)
	}
	if _, err := node.agent.GetKey(ctx, updated.deployment.URL); err != nil {
		return unreleased(name, "200 and a key after the update", err)
	}
	return check.Pass(name)
}

// refusedByPolicy passes when the service refuses the node its key with 403 policy_violation.
func refusedByPolicy(ctx context.Context, name string, service *service, node *node) check.Result {
	_, err := node.agent.GetKey(ctx, service.deployment.URL)
	if err == nil {
		return check.Fail(name, fault.Verification, "the key was released", violation, "200 and a key")
	}
	if isViolation(err) {
		return check.Pass(name)
	}
	return unreleased(name, violation, err)
}
