package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
)

// violation is the refusal that guardrails B and C demand: "403 PolicyViolation".
const violation = "403 " + wire.PolicyViolation

const acceptsAll = "the policy is policy_not_ready and accepts every register"

// isolation is guardrail B: "Verify the key release is rejected with 403 PolicyViolation."
func (s *stage) isolation() check.Result {
	name := fmt.Sprintf("service %s refuses a node %s with %s", policyProfile, intrudingProfile, violation)
	if s.run.Release.NotReady {
		return check.Skip(name, acceptsAll)
	}
	return refusedByPolicy(name, s.released(policyProfile), s.counterpart(intrudingProfile), anyRegister())
}

// refusedByPolicy passes when the service proved itself to the node and refused
// it its key with 403 policy_violation because of one of the registers: a refused
// TCB status says nothing about profiles and measurements.
func refusedByPolicy(name string, service *service, node *node, registers []string) check.Result {
	v, err := node.visit(service)
	if err != nil {
		return check.Of(name, err)
	}
	err = v.Err()
	var refused *agent.Refused
	switch {
	case v.KeyReleased || err == nil:
		return check.Fail(name, fault.Verification, "the key was released", violation, "200 and a key")
	case !errors.As(err, &refused) || refused.Status != http.StatusForbidden || refused.Tag != wire.PolicyViolation:
		return unreleased(name, violation, err)
	}
	if word, _, _ := strings.Cut(refused.Details, " "); !slices.Contains(registers, word) {
		return check.Fail(name, fault.Verification, "the key was refused for another reason than the node's registers",
			violation+" for "+strings.Join(registers, ", "), violation+": "+refused.Details)
	}
	return check.Pass(name)
}

func anyRegister() []string {
	names := tdx.RegisterNames()
	return names[:]
}

// unreleased is what a visit's error stands for: a refusal is the service's
// verdict, anything else a failure to ask, or to decide.
func unreleased(name, expected string, err error) check.Result {
	var refused *agent.Refused
	if !errors.As(err, &refused) || refused.Undecided() {
		return check.Of(name, err)
	}
	return check.Fail(name, fault.Verification, refused.Details, expected,
		fmt.Sprintf("%d %s", refused.Status, refused.Tag))
}

// Stale is guardrail C for one profile: a policy of the released service that
// does not admit the node release under test.
type Stale struct {
	Profile    release.Profile
	Policy     string                 // which it is, for the check's name; empty: the released service's own is older
	AppCompose []byte                 // names it, so it has a compose hash of its own; nil when it is the service's own
	Admitted   *measurement.Published // a node release that it admits; nil when it admits none
	Register   string                 // which alone was changed to make it stale; empty: it really is older
	Err        error                  // why it could not be prepared
}

// title says which policy is stale.
func (c Stale) title(r *Release) string {
	if c.Policy == "" {
		return "the released policy of " + r.KMS.Tag.String()
	}
	return c.Policy
}

// registers are those of which one must be the refusal's reason.
func (c Stale) registers() []string {
	if c.Register != "" {
		return []string{c.Register}
	}
	return anyRegister()
}

// stale is the service of guardrail C.
func (s *stage) stale(c Stale) *service {
	if c.AppCompose == nil {
		return s.released(c.Profile)
	}
	return s.service(&s.run.Release, c.Profile, c.Policy, c.AppCompose)
}

// stalePolicies is guardrail C. A policy that enforces registers can always be
// stale: that none was prepared is a failure.
func (s *stage) stalePolicies() (out Checks) {
	name := fmt.Sprintf("a node of %s is refused under an older policy with %s", s.run.Release.Node.Tag, violation)
	switch {
	case s.run.Release.NotReady:
		return Checks{NewCheck(StalePolicy, check.NotApplicable(name, acceptsAll))}
	case len(s.run.Stale) == 0:
		return Checks{NewCheck(StalePolicy, check.Fail(name, fault.General, "no stale policy was prepared", "one", "none"))}
	}
	for _, c := range s.run.Stale {
		out = append(out, NewCheck(StalePolicy, s.stalePolicy(c), c.Profile))
	}
	return out
}

// stalePolicy is guardrail C: "Deploy the new node-image with an old KMS
// policy. Verify it fails (MRTD mismatch). Then update the policy and verify it
// succeeds." That an older node gets its key from the same deployment shows
// that it is the policy which refuses, and nothing else.
func (s *stage) stalePolicy(c Stale) check.Result {
	r, p := &s.run.Release, c.Profile
	name := fmt.Sprintf("node %s of %s is refused with %s under %s, and gets its key once the policy is updated", p,
		r.Node.Tag, violation, c.title(r))
	if c.Err != nil {
		return check.Of(name, fmt.Errorf("the stale policy could not be prepared: %w", c.Err))
	}
	node, updated := s.counterpart(p), s.admitting(r, r.Node, p)
	if updated == s.stale(c) {
		return check.Fail(name, fault.General, "the stale policy and the updated one are the same", "two policies", "one")
	}
	if r := refusedByPolicy(name, s.stale(c), node, c.registers()); r.Status != check.Passed {
		return r
	}
	if c.Admitted != nil {
		if r := keyRelease(name, s.stale(c), s.node(c.Admitted, p)); r.Status != check.Passed {
			return but(r, fmt.Sprintf("the node of %s, which the older policy admits", c.Admitted.Tag))
		}
	}
	if r := keyRelease(name, updated, node); r.Status != check.Passed {
		return but(r, "after the update, to "+updated.policyTitle())
	}
	return check.Pass(name)
}

// but says in which situation a check failed.
func but(r check.Result, where string) check.Result {
	r.Reason = where + ": " + r.Reason
	return r
}
