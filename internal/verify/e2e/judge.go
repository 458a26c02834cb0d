package e2e

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// judge makes every check, in a fixed order.
func (s *stage) judge() (check.Results, Matrix) {
	var out, keys, others check.Results
	for _, p := range s.order {
		out = append(out, s.composeFile(p), s.serviceMeasurements(p), s.bootEvents(p))
	}
	for _, p := range s.booted {
		out = append(out, s.nodeDeployed(p), s.nodeBooted(p), s.nodeMeasurements(p))
	}
	for _, p := range s.run.Profiles {
		out = append(out, s.attestation(p))
		keys = append(keys, keyRelease(fmt.Sprintf("node %s verifies its service and gets its own key, twice the same", p),
			s.released(p), s.counterpart(p)))
	}
	for _, c := range s.run.others() {
		others = append(others, keyRelease(c.name(), s.service(c.KMS, c.profile), s.node(c.Node, c.profile)))
	}
	return slices.Concat(out, keys, others, check.Results{s.isolation(), s.stalePolicy()}), s.matrix(keys, others)
}

// composeFile: one compose hash, by the provider's reckoning, in
// compose-hash.txt, in published-mrtds.json and of the released file.
func (s *stage) composeFile(p release.Profile) check.Result {
	name := fmt.Sprintf("service %s runs the released compose file", p)
	if err := s.released(p).err; err != nil {
		return check.Of(name, err)
	}
	r := s.run.Release
	want := r.ComposeHash[p]
	for _, c := range []struct{ where, hash string }{
		{"the provider", "sha256:" + s.released(p).deployment.ComposeHash},
		{release.MeasurementsAsset, r.KMS.Profiles[p].Image.ComposeHash.String()},
		{release.ComposeAsset(p), digest.Of(r.AppCompose[p]).String()},
	} {
		if c.hash != want.String() {
			return check.Fail(name, fault.Verification, c.where+" has another compose hash than "+release.ComposeHashAsset,
				want.String(), c.hash)
		}
	}
	return check.Pass(name)
}

// serviceMeasurements is guardrail D for a key service: "Compare the MRTD/RTMR
// values observed during E2E against published-mrtds.json from the release."
func (s *stage) serviceMeasurements(p release.Profile) check.Result {
	return check.Of(fmt.Sprintf("service %s attests the published registers and compose hash", p), s.released(p).attested)
}

// bootEvents: the events that replay to RTMR3 contain the predicted ones, in their
// order, and the app id that the provider assigned.
func (s *stage) bootEvents(p release.Profile) check.Result {
	name := fmt.Sprintf("service %s booted through the predicted events", p)
	service := s.released(p)
	if service.report == nil {
		return check.Of(name, service.attested)
	}
	rest := service.report.Events
	for _, want := range s.run.Release.KMS.Profiles[p].Events {
		if want.Name == measurement.SystemReadyEvent {
			continue // tdx.RuntimeEvents ends there, and fails without it
		}
		i := slices.IndexFunc(rest, func(e tdx.Event) bool { return e.Name == want.Name })
		if i < 0 {
			return check.Fail(name, fault.Verification, "an event is missing or out of order", want.Name,
				eventNames(service.report.Events))
		}
		got := hex.EncodeToString(rest[i].Payload)
		if payload := hex.EncodeToString(want.Payload); want.Payload != nil && payload != got {
			return check.Fail(name, fault.Verification, "event "+want.Name, payload, got)
		}
		if assigned := service.deployment.AppID; want.Name == measurement.AppIDEvent && assigned != got {
			return check.Fail(name, fault.Verification, "event "+want.Name+" is not what the provider assigned", assigned, got)
		}
		rest = rest[i+1:]
	}
	return check.Pass(name)
}

func eventNames(events []tdx.Event) string {
	names := make([]string, len(events))
	for i, e := range events {
		names[i] = e.Name
	}
	return strings.Join(names, ", ")
}

// nodeDeployed is step 1 of the spec's end-to-end test: the image became a node, and the node answered.
func (s *stage) nodeDeployed(p release.Profile) check.Result {
	return check.Of(fmt.Sprintf("node %s is deployed", p), s.counterpart(p).err)
}

// nodeBooted is step 2: "Wait for the node to boot and verify it can produce a TDX quote."
func (s *stage) nodeBooted(p release.Profile) check.Result {
	return check.Of(fmt.Sprintf("node %s proves its boot by its quote and event log", p), s.counterpart(p).unproven)
}

// nodeMeasurements is guardrail D for a node: "Any mismatch is a release blocker."
func (s *stage) nodeMeasurements(p release.Profile) check.Result {
	name := fmt.Sprintf("node %s shows the published registers", p)
	node := s.counterpart(p)
	if node.verdict == nil {
		return check.Of(name, node.unproven)
	}
	var expected, got []string
	for _, d := range s.run.Release.Node.Profiles[p].Compare(node.verdict.Registers) {
		expected = append(expected, d.Name+" "+d.Want.String())
		got = append(got, d.Name+" "+d.Got.String())
	}
	if len(got) == 0 {
		return check.Pass(name)
	}
	return check.Fail(name, fault.Verification, "registers differ from "+release.MeasurementsAsset+" of "+
		s.run.Release.Node.Tag.String(),
		strings.Join(expected, ", "), strings.Join(got, ", ")).
		WithHint("MRTD and RTMR0 move with the cloud's firmware: measure again; RTMR1 to RTMR3 are the image's own")
}
