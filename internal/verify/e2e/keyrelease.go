package e2e

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
)

// violation is the refusal that guardrails B and C demand: "403 PolicyViolation".
const violation = "403 " + wire.PolicyViolation

const acceptsAll = "the policy is policy_not_ready and accepts every register"

// attestation is step 3 of the spec's end-to-end test: "Node verifies the KMS (Plane 1) using POST /attest."
func (s *stage) attestation(p release.Profile) check.Result {
	_, err := s.counterpart(p).visit(s.released(p))
	return check.Of(fmt.Sprintf("node %s verifies its service by /attest", p), err)
}

// keyRelease is step 4, the node's whole way: it verified the service, got its
// key, the same one again, and one that no other peer has.
func keyRelease(name string, service *service, node *node) check.Result {
	v, err := node.visit(service)
	if err != nil {
		return check.Of(name, err)
	}
	if err := v.Err(); err != nil {
		return unreleased(name, "200 and a key", err)
	}
	switch {
	case !v.KeyReleased:
		return check.Fail(name, fault.Verification, "the node got no key", "200 and a key", "no key and no error")
	case !v.KeySame:
		return check.Fail(name, fault.Verification, "the same peer got two different keys", "one key", "two")
	case !v.KeyOwn:
		return check.Fail(name, fault.Verification, "two peers got the same key", "a key for each peer", "one for both")
	}
	return check.Pass(name)
}

// isolation is guardrail B: "Verify the key release is rejected with 403 PolicyViolation."
func (s *stage) isolation() check.Result {
	name := fmt.Sprintf("service %s refuses a node %s with %s", policyProfile, intrudingProfile, violation)
	if s.run.Release.NotReady {
		return check.Skip(name, acceptsAll)
	}
	return refusedByPolicy(name, s.released(policyProfile), s.counterpart(intrudingProfile))
}

// refusedByPolicy passes when the service proved itself to the node and refused
// it its key with 403 policy_violation.
func refusedByPolicy(name string, service *service, node *node) check.Result {
	v, err := node.visit(service)
	if err != nil {
		return check.Of(name, err)
	}
	err = v.Err()
	switch {
	case v.KeyReleased || err == nil:
		return check.Fail(name, fault.Verification, "the key was released", violation, "200 and a key")
	case isViolation(err):
		return check.Pass(name)
	}
	return unreleased(name, violation, err)
}

func isViolation(err error) bool {
	var refused *agent.Refused
	return errors.As(err, &refused) && refused.Status == http.StatusForbidden && refused.Tag == wire.PolicyViolation
}

// unreleased is what a visit's error stands for: a refusal is the service's
// verdict, anything else a failure to ask.
func unreleased(name, expected string, err error) check.Result {
	var refused *agent.Refused
	if !errors.As(err, &refused) {
		return check.Of(name, err)
	}
	return check.Fail(name, fault.Verification, refused.Details, expected,
		fmt.Sprintf("%d %s", refused.Status, refused.Tag))
}

// Stale is guardrail C's deployment: the released image of a profile, told to
// load a policy from before the counterpart was promoted.
type Stale struct {
	Profile    release.Profile
	AppCompose []byte                 // names the older policy, so it has a compose hash of its own
	Admitted   *measurement.Published // a node release that the older policy admits
}

func (t *Run) staleService() *service {
	r, p := &t.Release, t.Stale.Profile
	want := t.expectation(r, p)
	want.ComposeHash = compose.Hash(t.Stale.AppCompose)
	return &service{machine: machine{r.KMS.Tag, p}, want: want, err: errNotDeployed, attested: errNotDeployed,
		app: dstack.App{Name: dstack.Name(string(release.KMS), r.KMS.Tag.Version.String(), "older-policy", t.ID),
			Compose: t.Stale.AppCompose, Image: r.KMS.Profiles[p].Image.OSImage,
			OSImageHash: r.KMS.Profiles[p].Image.OSImageHash}}
}

// stalePolicy is guardrail C: "Deploy the new node-image with an old KMS
// policy. Verify it fails (MRTD mismatch). Then update the policy and verify it
// succeeds." That an older node gets its key from the same deployment shows
// that it is the policy which refuses, and nothing else.
func (s *stage) stalePolicy() check.Result {
	t := s.run
	name := fmt.Sprintf("a new node is refused under an older policy with %s, and gets its key once the policy is updated",
		violation)
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
