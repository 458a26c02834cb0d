package guard

import (
	"strings"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Drills are each guard's cases: one in which it must fire with that code, one
// in which it must not. They need no network and no repository.
func Drills() []check.Drill {
	out := append(docsDrills(), []check.Drill{
		{Name: versionName, Bad: Version("mero-kms-v1.3.0", "1.2.0"), Good: Version("mero-kms-v1.3.0", "1.3.0"),
			Code: fault.Verification},
		{Name: versionName + ", malformed tag", Bad: Version("mero-kms-1.3.0", "1.3.0"),
			Good: Version("mero-tee-v1.3.0", "1.3.0"), Code: fault.Usage},
		{Name: environmentName, Bad: Environment([]string{"ALLOWED_MRTD=00"}), Good: Environment([]string{"PATH=/bin"}),
			Code: fault.Verification},
	}...)
	out = append(append(out, pairDrills()...), vouchedDrills()...)
	return append(out, allowedDrills()...)
}

// docsDrills change one file of each kind: with another page than its own, and with its own.
func docsDrills() []check.Drill {
	var out []check.Drill
	for _, d := range [][2]string{
		{"attestation-policy-debug.json", "docs/policies.md"}, {"policies/debug.json", "docs/policies.md"},
		{"docker/mero-kms/host-tcb.json", "docs/policies.md"},
		{"published-mrtds.json", "docs/measurements.md"}, {"docker/mero-kms/dstack-platforms.json", "docs/measurements.md"},
		{"packer/node.pkr.hcl", "docs/measurements.md"}, {"ansible/playbook.yml", "docs/measurements.md"},
		{catalog.Path, catalog.PagePath}, {"config/pairs.json", catalog.PagePath},
		{"scripts/release-kms.sh", "docs/commands.md"}, {".github/workflows/release-kms-phala.yaml", "docs/releasing.md"},
	} {
		with := func(page string, status git.Status, pinned ...string) check.Result {
			return Proposed{Files: map[string]git.Status{d[0]: git.Modified, page: status}, Pinned: pinned,
				CatalogPath: "config/pairs.json"}.documented()
		}
		out = append(out, check.Drill{Name: docsName + ", " + d[0], Bad: with("docs/architecture.md", git.Modified),
			Good: with(d[1], git.Modified), Code: fault.Verification})
		out = append(out, check.Drill{Name: docsName + ", " + d[0] + ", its page deleted", Bad: with(d[1], git.Deleted),
			Good: with(d[1], git.Added), Code: fault.Verification})
	}
	gone := map[string]git.Status{"policies/debug.json": git.Deleted}
	explained := map[string]git.Status{"policies/debug.json": git.Deleted, "docs/policies.md": git.Modified}
	out = append(out, check.Drill{Name: docsName + ", a policy deleted", Bad: Proposed{Files: gone}.documented(),
		Good: Proposed{Files: explained}.documented(), Code: fault.Verification})
	return append(out, mentionDrills()...)
}

// mentionDrills: each change of a catalog, once with notes that do not name its pair and once with notes that do.
func mentionDrills() []check.Drill {
	const notes = "docs/releases/mero-kms-v1.0.0.md"
	empty := `{"schema_version":"1","entries":[]}`
	entry := func(tested string) string {
		return `{"schema_version":"1","entries":[{"kms":"1.0.0","node_image":"1.1.0","profiles":["debug"],"tested":` +
			tested + `,"notes":""}]}`
	}
	with := func(before, after, says string) check.Result {
		return Proposed{Files: map[string]git.Status{catalog.Path: git.Modified, notes: git.Modified},
			CatalogPath: catalog.Path, Before: []byte(before), After: []byte(after),
			Notes: map[string]string{notes: says}}.mentioned()
	}
	const pair = "- mero-kms-v1.0.0 with mero-tee-v1.1.0"
	drill := func(name string, bad, good check.Result, code fault.Code) check.Drill {
		return check.Drill{Name: pairsName + ", " + name, Bad: bad, Good: good, Code: code}
	}
	return []check.Drill{
		drill("a pair that no notes name", with(empty, entry("false"), "mero-tee-v1.1.0"),
			with(empty, entry("false"), pair), fault.Verification),
		drill("a pair that a comment names", with(empty, entry("false"), "<!-- "+pair+" -->"),
			with(empty, entry("false"), pair), fault.Verification),
		drill("a profile that became tested", with(entry("false"), entry("true"), pair+": debug-read-only"),
			with(entry("false"), entry("true"), pair+": tested in debug"), fault.Verification),
		drill("no catalog afterwards", Proposed{Files: map[string]git.Status{catalog.Path: git.Deleted},
			CatalogPath: catalog.Path}.mentioned(), with(entry("true"), empty, ""), fault.MissingAsset),
		drill("a catalog that cannot be read", with(empty, "{", pair), with("{", entry("false"), pair), fault.Verification),
	}
}

func pairDrills() []check.Drill {
	kms, node := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}},
		release.Tag{Family: release.Node, Version: release.Version{Major: 1}}
	candidate := release.Tag{Family: release.Node, Version: release.Version{Major: 2, Candidate: 1}}
	none := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion}
	listed := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion,
		Entries: []catalog.Entry{{KMS: kms.Version, NodeImage: node.Version, Profiles: release.Profiles()}}}
	ev := policies.Evidence{Tag: node, Digest: "sha256:0", Registers: map[release.Profile]tdx.Registers{}}
	other := policies.Evidence{Tag: node, Digest: ev.Digest, Registers: map[release.Profile]tdx.Registers{}}
	working, set := map[release.Profile]*policies.Working{}, map[release.Profile]*policies.Policy{}
	for _, p := range release.Profiles() {
		ev.Registers[p], other.Registers[p] = tdx.Registers{MRTD: tdx.Register{1}}, tdx.Registers{MRTD: tdx.Register{2}}
		tuples := []policies.Measurement{{NodeRelease: node, Evidence: ev.Digest, Registers: ev.Registers[p]}}
		working[p], set[p] = &policies.Working{Measurements: tuples}, &policies.Policy{Measurements: tuples}
	}
	published := func(e policies.Evidence) policies.Published { return policies.Published{node: e} }
	ours, theirs := PairInput{Tag: kms, Working: working}, PairInput{Tag: node}
	return []check.Drill{
		{Name: existsName, Bad: CounterpartExists(node, nil), Good: CounterpartExists(node, []release.Tag{node}),
			Code: fault.Verification},
		{Name: listedName, Bad: Listed(none, catalog.Path, kms, node),
			Good: Listed(listed, catalog.Path, kms, node), Code: fault.Verification},
		{Name: stableName, Bad: StableCounterpart(kms, candidate, []release.Tag{candidate, node}),
			Good: StableCounterpart(kms, candidate, []release.Tag{candidate}), Code: fault.Verification},
		{Name: referencesName + " (KMS)", Bad: ours.WorkingReferences(node, published(other)),
			Good: ours.WorkingReferences(node, published(ev)), Code: fault.Verification},
		{Name: referencesName + " (KMS), a release that nobody made", Bad: ours.WorkingReferences(node, nil),
			Good: ours.WorkingReferences(node, published(ev)), Code: fault.Verification},
		{Name: referencesName + " (node)", Bad: theirs.PolicyReferences(kms, set, published(other)),
			Good: theirs.PolicyReferences(kms, set, published(ev)), Code: fault.Verification},
	}
}

// vouchedDrills take one tuple, and the evidence of its release's test.
func vouchedDrills() []check.Drill {
	node := release.Tag{Family: release.Node, Version: release.Version{Major: 1}}
	measurements, registers := digest.Of([]byte("published")), tdx.Registers{MRTD: tdx.Register{1}}
	m := policies.Measurement{NodeRelease: node, Evidence: measurements.String(), Registers: registers}
	without := m
	without.WithoutE2E = "a drill: no node is harmed"
	tests := func(result check.Status, seen tdx.Registers) policies.Tests {
		return policies.Tests{node: {{Node: evidence.Side{Release: node, Measurements: measurements},
			Profiles: []evidence.Profile{{Profile: release.Debug, Node: evidence.Machine{Seen: &seen},
				Checks: []evidence.Check{{Name: "a key", Result: result}}}}}}}
	}
	judge := func(m policies.Measurement, t policies.Tests) check.Result {
		return Vouched(check.Pass(referencesName), Tuples{release.Debug: {m}}, t)
	}
	good := judge(m, tests(check.Passed, registers))
	name := referencesName + ", "
	return []check.Drill{
		{Name: name + "without evidence of E2E", Bad: judge(m, nil), Good: judge(without, nil), Code: fault.MissingAsset},
		{Name: name + "E2E that failed", Bad: judge(m, tests(check.Failed, registers)), Good: good,
			Code: fault.Verification},
		{Name: name + "E2E that was skipped", Bad: judge(m, tests(check.Skipped, registers)), Good: good,
			Code: fault.Verification},
		{Name: name + "E2E of other registers", Bad: judge(m, tests(check.Passed, tdx.Registers{MRTD: tdx.Register{2}})),
			Good: good, Code: fault.Verification},
	}
}

// allowedDrills are the forms in which a variable can come out of a file. In
// the first list the good case of each differs in the name alone.
func allowedDrills() []check.Drill {
	var out []check.Drill
	add := func(form string, bad, good []File) {
		out = append(out, check.Drill{Name: workflowsName + ", " + form, Bad: allowedWorkflows(bad),
			Good: allowedWorkflows(good), Code: fault.Verification})
	}
	for _, d := range []struct{ form, file, text string }{
		{"workflow env", sampleWorkflow, "env: {NAME: x}\n" + sampleJob("run: mage x")},
		{"job env", sampleWorkflow, sampleJob("run: mage x") + "    env: {NAME: x}\n"},
		{"step env", sampleWorkflow, sampleJob("env: {NAME: x}\n        run: mage x")},
		{"container env", sampleWorkflow, sampleJob("run: mage x") + "    container: {image: a, env: {NAME: x}}\n"},
		{"container options", sampleWorkflow, sampleJob("run: mage x") + "    container: {image: a, options: -e NAME=x}\n"},
		{"service env", sampleWorkflow, sampleJob("run: mage x") + "    services: {s: {image: a, env: {NAME: x}}}\n"},
		{"merge key", sampleWorkflow, sampleJob("run: mage x") + "    env: {<<: {NAME: x}}\n"},
		{"assignment", sampleWorkflow, sampleJob("run: NAME=x mage x")},
		{"export", sampleWorkflow, sampleJob("run: export NAME=x")},
		{"docker", sampleWorkflow, sampleJob("run: docker run --env NAME kms")},
		{"child's text", sampleWorkflow, sampleJob("run: bash -c 'NAME=x mage x'")},
		{"GITHUB_ENV", sampleWorkflow, sampleJob("run: echo NAME=x >> $GITHUB_ENV")},
		{"matrix", sampleWorkflow, sampleJob("run: mage x") + "    strategy: {matrix: {n: [NAME]}}\n"},
		{"context", sampleWorkflow, sampleJob("run: echo ${{ vars.NAME }}")},
		{"input of an action", sampleWorkflow, sampleJob("uses: a/b@v1\n        with: {args: NAME=x}")},
		{"parallel steps", sampleWorkflow, sampleJob("parallel: [{run: NAME=x mage x}]")},
		{"composite action", "tools/x/action.yml",
			"name: x\nruns:\n  using: composite\n  steps: [{shell: bash, run: export NAME=x}]\n"},
		{"script", "scripts/x.sh", "# no ALLOWED_*\nexport NAME=x\n"},
		{"sourced file", ".github/x.env", "NAME=x\n"},
		{"Dockerfile", "docker/Dockerfile", "FROM scratch\nENV NAME=x\n"},
		{"compose", "docker/compose.yaml", "services: {kms: {environment: {NAME: x}}}\n"},
		{"Ansible", "ansible/node.yml", "- hosts: all\n  environment: {NAME: x}\n"},
		{"Packer", "packer/node.pkr.hcl", "environment_vars = [\"NAME=x\"]\n"},
		{"Mage", "magefiles/x.go", "package main\nfunc x() { os.Setenv(\"NAME\", \"x\") }\n"},
	} {
		with := func(name string) []File { return []File{{d.file, []byte(strings.ReplaceAll(d.text, "NAME", name))}} }
		add(d.form, with("ALLOWED_RTMR0"), with("MERO_ARGS"))
	}
	for _, d := range []struct{ form, bad, good string }{
		{"not YAML", "run: {", "run: 'mage guard:allowed # no ALLOWED_RTMR0'"},
		{"another shell", "{shell: pwsh, run: mage x}", "{shell: bash, run: mage x}"},
		{"computed name", "run: export ${{ vars.NAME }}=x", "run: export NAME=${{ vars.NAME }}"},
		{"computed key", "{run: mage x, env: {'${{ vars.NAME }}': x}}", "{run: mage x, env: {NAME: '${{ vars.NAME }}'}}"},
		{"computed env", "{run: mage x, env: '${{ fromJSON(vars.ALL) }}'}", "{run: mage x, env: {ALL: '${{ vars.ALL }}'}}"},
		{"computed look-up", "run: echo ${{ vars[format('{0}', 'A')] }}", "run: echo ${{ vars['A'] }}"},
		{"GITHUB_ENV from a file", "run: cat x >> $GITHUB_ENV", "run: cat x >> $GITHUB_OUTPUT"},
		{"GITHUB_ENV with an open value", "run: echo \"N=$(cat x)\" >> $GITHUB_ENV",
			"run: echo \"N=$GITHUB_SHA\" >> $GITHUB_ENV"},
		{"GITHUB_ENV by another way", "run: cp x \"$GITHUB_ENV\"", "run: cat \"$GITHUB_ENV\""},
		{"eval", "run: eval \"$(cat x)\"", "run: eval 'mage x'"},
		{"file that is not there", "run: . ./x.env", "run: ./x.env"},
		{"action that is not there", "uses: $/tools/x", "uses: a/b@v1"},
		{"use of a name", "run: mage x $ALLOWED_RTMR0", "run: unset ALLOWED_RTMR0"},
	} {
		file := func(step string) []File { return []File{{sampleWorkflow, []byte(sampleJob(step))}} }
		if strings.HasPrefix(d.bad, "{") {
			file = func(step string) []File {
				return []File{{sampleWorkflow, []byte("jobs: {drill: {runs-on: ubuntu-24.04, steps: [" + step + "]}}\n")}}
			}
		}
		add(d.form, file(d.bad), file(d.good))
	}
	return out
}

const sampleWorkflow = ".github/workflows/selftest.yaml"

// sampleJob is a job with one step, to which keys of the job may be added.
func sampleJob(step string) string {
	return "on: push\njobs:\n  drill:\n    runs-on: ubuntu-24.04\n    steps:\n      - name: drill\n        " + step + "\n"
}
