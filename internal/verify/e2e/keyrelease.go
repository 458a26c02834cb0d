package e2e

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/node/agent"
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
	name := fmt.Sprintf("service %s refuses a node %s with %s", fortress, intruder, violation)
	if s.trial.Release.NotReady {
		return check.Skip(name, acceptsAll)
	}
	return refusedByPolicy(name, s.released(fortress), s.counterpart(intruder))
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
	return check.Fail(name, fault.Verification, refused.Details, expected, fmt.Sprintf("%d %s", refused.Status, refused.Tag))
}
