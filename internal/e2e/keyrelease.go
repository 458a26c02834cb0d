package e2e

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"

	"github.com/calimero-network/mero-tee/internal/agent"
	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// violation is the refusal that guardrails B and C demand: "403 PolicyViolation".
const violation = "403 " + wire.PolicyViolation

const acceptsAll = "the policy is policy_not_ready and accepts every register"

// keyRelease is the node's whole way: it verifies the service, gets its key,
// the same one again, and one that no other peer has.
func (s *stage) keyRelease(ctx context.Context, name string, service *service, node *node) check.Result {
	if err := errors.Join(service.err, node.err); err != nil {
		return check.Of(name, err)
	}
	url := service.deployment.URL
	report, err := node.agent.VerifyKMS(ctx, url, service.want)
	if err != nil {
		return check.Of(name, err)
	}
	s.seen.add(s.serviceLabel(service.machine), report.Quote, report.Verdict)
	_, stranger, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return check.Of(name, err)
	}
	other := *node.agent
	other.Key = stranger
	var keys [3][]byte
	for i, a := range []*agent.Agent{node.agent, node.agent, &other} {
		if keys[i], err = a.GetKey(ctx, url); err != nil {
			return unreleased(name, "200 and a key", err)
		}
	}
	switch {
	case subtle.ConstantTimeCompare(keys[0], keys[1]) != 1:
		return check.Fail(name, fault.Verification, "the same peer got two different keys", "one key", "two")
	case subtle.ConstantTimeCompare(keys[0], keys[2]) == 1:
		return check.Fail(name, fault.Verification, "two peers got the same key", "a key for each peer", "one for both")
	}
	return check.Pass(name)
}

// isolation is guardrail B: "Verify the key release is rejected with 403 PolicyViolation."
func (s *stage) isolation(ctx context.Context) check.Result {
	name := fmt.Sprintf("service %s refuses a node %s with %s", fortress, intruder, violation)
	if s.trial.Release.NotReady {
		return check.Skip(name, acceptsAll)
	}
	service, node := s.released(fortress), s.counterpart(intruder)
	if err := errors.Join(service.err, node.err); err != nil {
		return check.Of(name, err)
	}
	return refusedByPolicy(ctx, name, service, node)
}

func isViolation(err error) bool {
	var refused *agent.Refused
	return errors.As(err, &refused) && refused.Status == http.StatusForbidden && refused.Tag == wire.PolicyViolation
}

// unreleased is what GetKey's error stands for: a refusal is the service's
// verdict, anything else a failure to ask.
func unreleased(name, expected string, err error) check.Result {
	var refused *agent.Refused
	if !errors.As(err, &refused) {
		return check.Of(name, err)
	}
	return check.Fail(name, fault.Verification, refused.Details, expected, fmt.Sprintf("%d %s", refused.Status, refused.Tag))
}
