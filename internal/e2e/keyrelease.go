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
	"github.com/calimero-network/mero-tee/internal/release"
)

// keyRelease is the node's whole way: it verifies the service, gets its key,
// the same one again, and one that no other peer has.
func (s *stage) keyRelease(ctx context.Context, p release.Profile) check.Result {
	name := fmt.Sprintf("node %s verifies its service and gets its own key, twice the same", p)
	service, node := s.services[p], s.nodes[p]
	if err := errors.Join(service.err, node.err); err != nil {
		return check.Of(name, err)
	}
	url := service.deployment.URL
	if _, err := node.agent.VerifyKMS(ctx, url, s.trial.expectation(p)); err != nil {
		return check.Of(name, err)
	}
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
	name := fmt.Sprintf("service %s refuses a node %s with 403 %s", fortress, intruder, wire.PolicyViolation)
	if s.trial.Release.NotReady {
		return check.Skip(name, "the policy is policy_not_ready and accepts every register")
	}
	service, node := s.services[fortress], s.nodes[intruder]
	if err := errors.Join(service.err, node.err); err != nil {
		return check.Of(name, err)
	}
	_, err := node.agent.GetKey(ctx, service.deployment.URL)
	if err == nil {
		return check.Fail(name, fault.Verification, "the key was released", "403 "+wire.PolicyViolation, "200 and a key")
	}
	var refused *agent.Refused
	if errors.As(err, &refused) && refused.Status == http.StatusForbidden && refused.Tag == wire.PolicyViolation {
		return check.Pass(name)
	}
	return unreleased(name, "403 "+wire.PolicyViolation, err)
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
