package plan

import (
	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Drills are the cases of the rules that follow from a release's class: one in
// which the rule must fire with that code, one in which it must not.
func Drills() []check.Drill {
	return hotfixDrills()
}

const numberName = "hotfix: exactly the next number"

func hotfixDrills() []check.Drill {
	tag := release.Tag{Family: release.Node, Version: release.Version{Major: 1, Patch: 1}}
	counterpart := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}
	touched := []git.Change{{Path: "go.mod", Added: 1}}
	moved := Moved{release.Debug: {Now: measurement.Profile{MRTD: tdx.Register{1}}, Registers: true}}
	declared := &catalog.Catalog{Entries: []catalog.Entry{{KMS: counterpart.Version, NodeImage: tag.Version,
		Profiles: []release.Profile{release.Debug}}}}
	other := &policies.Working{Measurements: []policies.Measurement{{Registers: tdx.Registers{MRTD: tdx.Register{2}}}}}
	very := &policies.Working{Measurements: []policies.Measurement{{Registers: tdx.Registers{MRTD: tdx.Register{1}}}}}
	of := func(w *policies.Working) map[release.Profile]*policies.Working {
		return map[release.Profile]*policies.Working{release.Debug: w}
	}
	left := Subject{Tag: release.Tag{Family: release.Node, Version: release.Version{Major: 1, Patch: 2}}}
	patched := release.Tag{Family: release.Node, Version: release.Version{Major: 1}}
	return []check.Drill{
		{Name: numberName, Bad: check.Of(numberName, left.next(patched)), Code: fault.Verification,
			Good: check.Of(numberName, Subject{Tag: tag}.next(patched))},
		{Name: pathsName, Bad: reasoned(tag, touched, map[string]string{"internal": "the fix"}), Code: fault.Verification,
			Good: reasoned(tag, touched, map[string]string{"go.mod": "the fix is there"})},
		{Name: policyName, Bad: moved.inPolicies(tag, of(other)), Code: fault.Verification,
			Good: moved.inPolicies(tag, of(very))},
		{Name: catalogName, Bad: moved.inCatalog(tag, counterpart, nil), Code: fault.Verification,
			Good: moved.inCatalog(tag, counterpart, declared)},
	}
}
