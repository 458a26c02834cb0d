package e2e

import (
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// judge makes every check of the run's suites, in a fixed order. One that fails
// keeps no other from being made.
func (s *stage) judge() (out Checks, matrix Matrix) {
	if s.run.has(NodeSuite) {
		out = s.nodeSuite()
	}
	if s.run.has(GuardrailSuite) {
		guardrails, tried := s.guardrails()
		out, matrix = append(out, guardrails...), tried
	}
	return append(out, s.run.Known...), matrix
}

// nodeSuite is the mero-tee-node E2E without its clean-up, for each profile.
func (s *stage) nodeSuite() (out Checks) {
	for _, p := range s.run.Profiles {
		out = append(out, NewCheck(DeployNode, s.nodeDeployed(p), p),
			NewCheck(BootVerification, s.nodeBooted(p), p), NewCheck(BootVerification, s.nodeAnswers(p), p),
			NewCheck(KMSAttestation, s.attestation(p), p), NewCheck(KeyRelease, s.ownKey(p), p))
	}
	return out
}

// guardrails are the KMS-Node E2E Guardrails, A to D.
func (s *stage) guardrails() (out Checks, matrix Matrix) {
	for _, c := range s.run.cells() {
		v := s.admitting(c.KMS, c.Node, c.profile)
		r := keyRelease(c.name(v), v, s.node(c.Node, c.profile))
		out = append(out, NewCheck(CrossVersion, r, c.profile))
		matrix = append(matrix, Cell{v.tag, c.Node.Tag, c.profile, r.Status, v.policy})
	}
	out = append(out, NewCheck(ProfileIsolation, s.isolation(), intrudingProfile, policyProfile))
	out = append(out, s.stalePolicies()...)
	for _, p := range s.order {
		out = append(out, NewCheck(MeasurementConsistency, s.composeFile(p), p),
			NewCheck(MeasurementConsistency, s.serviceMeasurements(p), p), NewCheck(MeasurementConsistency, s.bootEvents(p), p))
	}
	for _, p := range s.booted {
		out = append(out, NewCheck(MeasurementConsistency, s.nodeMeasurements(p), p))
	}
	return out, matrix
}

// nodeDeployed is step 1: "Create a GCP Confidential VM using the newly released
// image." The image became a node, and the node answered.
func (s *stage) nodeDeployed(p release.Profile) check.Result {
	return check.Of(fmt.Sprintf("node %s is deployed from its released image", p), s.counterpart(p).err)
}

// nodeBooted is step 2: "Wait for the node to boot and verify it can produce a TDX quote."
func (s *stage) nodeBooted(p release.Profile) check.Result {
	return check.Of(fmt.Sprintf("node %s proves its boot by its quote and event log", p), s.counterpart(p).unproven)
}

// nodeAnswers belongs to step 2, "Wait for the node to boot": what the image is
// for runs in it, and answers the world through traefik. It is the node's word,
// which counts only of a node that proved itself.
func (s *stage) nodeAnswers(p release.Profile) check.Result {
	n, name := s.counterpart(p), fmt.Sprintf("node %s answers through traefik: merod is alive", p)
	if n.unproven != nil {
		return check.Of(name, n.unproven)
	}
	return check.Of(name, n.report.Health.Err())
}

// attestation is step 3: "Node verifies the KMS (Plane 1) using POST /attest." The
// key service is the released one, whatever its policy says to the node.
func (s *stage) attestation(p release.Profile) check.Result {
	_, err := s.counterpart(p).visit(s.released(p))
	return check.Of(fmt.Sprintf("node %s verifies the released service by POST /attest", p), err)
}

// ownKey is step 4: "Node completes the challenge/get-key flow and verifies it
// receives a valid encryption key."
func (s *stage) ownKey(p release.Profile) check.Result {
	v := s.admitting(&s.run.Release, s.run.Release.Node, p)
	name := fmt.Sprintf("node %s gets its own key, twice the same, from the service with %s", p, v.policyTitle())
	return keyRelease(name, v, s.counterpart(p))
}

// keyRelease is the node's whole way: it verified the service, got its key, the
// same one again, and one that no other peer has.
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

// inNodeSuite says whether the node suite judges a machine: one of the release under test, as released.
func (s *stage) inNodeSuite(m machine, tested release.Tag) bool {
	return s.run.has(NodeSuite) && m.tag == tested && m.policy == "" && slices.Contains(s.run.Profiles, m.profile)
}
