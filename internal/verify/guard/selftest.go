package guard

import (
	"fmt"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// drill is a guard with a case in which it must fire and one in which it must not.
type drill struct {
	name      string
	bad, good check.Result
	code      fault.Code
}

// SelfTest runs each guard against built-in cases: it passes where the guard
// fires with the right code in the bad case and stays silent in the good one.
// It needs no network and no repository.
func SelfTest() check.Results {
	var out check.Results
	for _, d := range drills() {
		name := "selftest: " + d.name
		switch code := fault.CodeOf(d.bad.Err()); {
		case code != d.code:
			out = append(out, check.Fail(name, fault.Verification, "the guard does not fire", fmt.Sprintf("code %d", d.code), fmt.Sprintf("code %d", code)))
		case d.good.Status != check.Passed:
			out = append(out, check.Fail(name, fault.Verification, "the guard fires without cause", "pass", string(d.good.Status)+" "+d.good.Reason))
		default:
			out = append(out, check.Pass(name))
		}
	}
	return out
}

func drills() []drill {
	out := append(docsDrills(), []drill{
		{versionName, Version("mero-kms-v1.3.0", "1.2.0"), Version("mero-kms-v1.3.0", "1.3.0"), fault.Verification},
		{versionName + ", malformed tag", Version("mero-kms-1.3.0", "1.3.0"), Version("mero-tee-v1.3.0", "1.3.0"), fault.Usage},
		{environmentName, allowedEnvironment([]string{"ALLOWED_MRTD=00"}), allowedEnvironment([]string{"PATH=/bin"}), fault.Verification},
	}...)
	out = append(out, pairDrills()...)
	return append(out, allowedDrills()...)
}

// docsDrills change one file of each kind: with another page than its own, and with its own.
func docsDrills() []drill {
	var out []drill
	for _, d := range [][2]string{
		{"attestation-policy-debug.json", "docs/policies.md"}, {"policies/debug.json", "docs/policies.md"},
		{"published-mrtds.json", "docs/measurements.md"}, {"docker/mero-kms/dstack-platform.json", "docs/measurements.md"},
		{"packer/node.pkr.hcl", "docs/measurements.md"}, {"ansible/playbook.yml", "docs/measurements.md"},
		{catalog.Path, "docs/catalog.md"}, {"scripts/release-kms.sh", "docs/commands.md"},
	} {
		out = append(out, drill{docsName + ", " + d[0], Docs([]string{d[0], "docs/architecture.md"}), Docs([]string{d[0], d[1]}), fault.Verification})
	}
	return out
}

func pairDrills() []drill {
	kms, node := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}, release.Tag{Family: release.Node, Version: release.Version{Major: 1}}
	none := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion}
	listed := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion, Entries: []catalog.Entry{{KMS: kms.Version, NodeImage: node.Version, Profiles: release.Profiles()}}}
	ev := policies.Evidence{Tag: node, Digest: "sha256:0", Registers: map[release.Profile]tdx.Registers{}}
	other := policies.Evidence{Tag: node, Digest: ev.Digest, Registers: map[release.Profile]tdx.Registers{}}
	working, set := map[release.Profile]*policies.Working{}, map[release.Profile]*policies.Policy{}
	for _, p := range release.Profiles() {
		ev.Registers[p], other.Registers[p] = tdx.Registers{MRTD: tdx.Register{1}}, tdx.Registers{MRTD: tdx.Register{2}}
		tuples := []policies.Measurement{{NodeRelease: node, Evidence: ev.Digest, Registers: ev.Registers[p]}}
		working[p], set[p] = &policies.Working{Measurements: tuples}, &policies.Policy{Measurements: tuples}
	}
	published := func(e policies.Evidence) map[release.Tag]policies.Evidence {
		return map[release.Tag]policies.Evidence{node: e}
	}
	return []drill{
		{existsName, CounterpartExists(node, nil), CounterpartExists(node, []release.Tag{node}), fault.Verification},
		{listedName, Listed(none, kms, node), Listed(listed, kms, node), fault.Verification},
		{referencesName + " (KMS)", WorkingReferences(kms, working, other), WorkingReferences(kms, working, ev), fault.Verification},
		{referencesName + " (node)", PolicyReferences(node, kms, set, published(other)), PolicyReferences(node, kms, set, published(ev)), fault.Verification},
	}
}
