package guard

import (
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// allowedDrills are the places of a workflow, and of what it calls, from which
// a variable can come. The good case of each differs in the name alone.
func allowedDrills() []drill {
	var out []drill
	add := func(name string, build func(variable string) []File) {
		out = append(out, drill{workflowsName + ", " + name, allowedWorkflows(build("ALLOWED_RTMR0")), allowedWorkflows(build("MERO_ARGS")), fault.Verification})
	}
	for _, level := range []struct{ name, text string }{
		{"workflow env", "env: {NAME: x}\n" + sampleJob("run: mage x")},
		{"job env", sampleJob("run: mage x") + "    env: {NAME: x}\n"},
		{"step env", sampleJob("env: {NAME: x}\n        run: mage x")},
		{"container env", sampleJob("run: mage x") + "    container: {image: a, env: {NAME: x}}\n"},
		{"service env", sampleJob("run: mage x") + "    services: {s: {image: a, env: {NAME: x}}}\n"},
		{"assignment", sampleJob("run: NAME=x mage x")},
		{"export", sampleJob("run: export NAME=x")},
		{"GITHUB_ENV", sampleJob("run: echo NAME=x >> $GITHUB_ENV")},
		{"matrix", sampleJob("run: export ${{ matrix.n }}=x") + "    strategy: {matrix: {n: [NAME]}}\n"},
		{"expression", sampleJob("run: export ${{ format('{0}', 'NAME') }}=x")},
		{"shell variable", sampleJob("run: N=NAME; export $N=x")},
		{"input of an action", sampleJob("uses: a/b@v1\n        with: {args: NAME=x}")},
	} {
		add(level.name, func(v string) []File { return []File{sampleWorkflow(strings.ReplaceAll(level.text, "NAME", v))} })
	}
	add("composite action", func(v string) []File {
		return []File{sampleWorkflow(sampleJob("uses: ./.github/actions/x")), sampleAction("echo " + v + "=x >> $GITHUB_ENV")}
	})
	add("input of a composite action", func(v string) []File {
		half, rest, _ := strings.Cut(v, "_")
		return []File{sampleWorkflow(sampleJob("uses: ./.github/actions/x\n        with: {half: " + half + "}")), sampleAction("export ${{ inputs.half }}_" + rest + "=x")}
	})
	add("reusable workflow", func(v string) []File {
		called := File{Path: ".github/workflows/called.yaml", Data: []byte("on: {workflow_call: {inputs: {n: {type: string}}}}\n" + sampleJob("run: export ${{ inputs.n }}=x"))}
		half, rest, _ := strings.Cut(v, "_")
		return []File{called, sampleWorkflow("jobs:\n  a:\n    strategy: {matrix: {half: [" + half + "]}}\n    uses: ./.github/workflows/called.yaml\n    with: {n: \"${{ matrix.half }}_" + rest + "\"}\n")}
	})
	add("script", func(v string) []File {
		return []File{{Path: "scripts/x.sh", Data: []byte("# no ALLOWED_*\nexport " + v + "=x\n")}}
	})
	clean := allowedWorkflows([]File{sampleWorkflow(sampleJob("run: 'mage guard:allowed # no ALLOWED_RTMR0'"))})
	return append(out,
		drill{workflowsName + ", unreadable", allowedWorkflows([]File{sampleWorkflow(sampleJob("run: {"))}), clean, fault.Verification},
		drill{workflowsName + ", unknown name", allowedWorkflows([]File{sampleWorkflow(sampleJob("run: export ${{ vars.NAME }}=x"))}), clean, fault.Verification})
}

func sampleWorkflow(body string) File {
	return File{Path: ".github/workflows/selftest.yaml", Data: []byte("on: push\n" + body)}
}

// sampleJob is a job with one step, to which keys of the job may be added.
func sampleJob(step string) string {
	return "jobs:\n  drill:\n    runs-on: ubuntu-24.04\n    steps:\n      - name: drill\n        " + step + "\n"
}

func sampleAction(script string) File {
	return File{Path: ".github/actions/x/action.yml", Data: []byte("name: x\ndescription: no ALLOWED_*\ninputs: {half: {description: h}}\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      run: " + script + "\n")}
}
