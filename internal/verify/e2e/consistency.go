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

// Guardrail D: "Compare the MRTD/RTMR values observed during E2E against
// published-mrtds.json from the release. Any mismatch is a release blocker." What
// is observed comes from verified quotes and from the provider, never from what
// was handed in.

// composeFile: the provider stored a file of the compose hash that compose-hash.txt
// has, as the other released files have it.
func (s *stage) composeFile(p release.Profile) check.Result {
	name := fmt.Sprintf("service %s is stored by the provider as the released compose file", p)
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

// serviceMeasurements: what the service's quote to the run proves is what is published.
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

// nodeMeasurements: the registers in the node's quote are the published ones.
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
