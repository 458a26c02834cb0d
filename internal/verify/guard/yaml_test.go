package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// on is a workflow whose job runs a harmless step on a machine.
func on(machine, keys string) tree {
	return tree{path: "on: push\njobs:\n  a:\n    runs-on: " + machine + "\n" + keys + "    steps:\n      - run: mage x\n"}
}

// A step that names no shell is read by its machine's, which the file must show.
func TestAllowedRefusesMachinesThatTheFileDoesNotShow(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]tree{
		"a list":                on("[\"${{ inputs.os }}\"]", ""),
		"a list of an alias":    {path: "x: &x \"${{ inputs.os }}\"\n" + on("[*x]", "")[path]},
		"labels":                on("{group: g, labels: \"${{ inputs.os }}\"}", ""),
		"an event":              on("${{ github.event.inputs.os }}", ""),
		"an event by its index": on("${{ github['event'].inputs.os }}", ""),
		"a step's output":       on("${{ needs.a.outputs.os }}", ""),
		"put together":          on("${{ format('win{0}', 'dows-2025') }}", ""),
		"a matrix":              on("${{ matrix.os }}", "    strategy: {matrix: \"${{ fromJSON(inputs.m) }}\"}\n"),
		"no matrix":             on("${{ matrix.os }}", ""),
		"a value of the matrix": on("${{ matrix.os }}", "    strategy: {matrix: {os: [\"${{ inputs.m }}\"]}}\n"),
		"a list for the matrix": on("${{ matrix['os'] }}", "    strategy: {matrix: {os: \"${{ fromJSON(vars.M) }}\"}}\n"),
		"an addition":           on("${{ matrix.os }}", "    strategy: {matrix: {include: [{os: \"${{ vars.M }}\"}]}}\n"),
		"a list of additions":   on("${{ matrix.os }}", "    strategy: {matrix: {include: \"${{ fromJSON(vars.M) }}\"}}\n"),
		"an empty shell": {path: "on: push\njobs:\n  a:\n    runs-on: windows-2025\n    steps:\n" +
			"      - {shell: '', run: mage x}\n"},
		"an empty default shell": on("windows-2025", "    defaults: {run: {shell: ''}}\n"),
	} {
		r := files.judged(t)
		require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), name)
		require.Contains(t, r.Got, "cannot be judged: a script for ", name)
	}
	for name, files := range map[string]tree{
		"a choice": on("${{ github.repository == 'a/b' && 'big' || 'ubuntu-24.04' }}", ""),
		"a matrix": on("${{ matrix.os }}",
			"    strategy: {matrix: {os: [ubuntu-24.04, macos-15], v: \"${{ fromJSON(vars.V) }}\"}}\n"),
		"an addition": on("${{ matrix.os }}",
			"    strategy: {matrix: {include: [{os: ubuntu-24.04, v: \"${{ vars.V }}\"}]}}\n"),
		"the event's name": on("${{ github.event_name == 'push' && 'a' || 'b' }}", ""),
		"a shell is named": on("${{ inputs.os }}", "    defaults: {run: {shell: bash}}\n"),
	} {
		r := files.judged(t)
		require.Equal(t, check.Passed, r.Status, "%s: %s", name, r.Got)
	}
}

// Other spellings of a context as a whole, and of a script that every shell begins with.
func TestAllowedRefusesWholeContextsAndFunctionsOfTheEnvironment(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"toJSON ( vars )", "tojson((env))", "join(vars.*, '=')", "toJSON(secrets.*)"} {
		r := jobKeys("    env: {ALL: \"${{ " + value + " }}\"}").judged(t)
		require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), value)
	}
	r := jobKeys("    env: {\"BASH_FUNC_go%%\": \"() { export x; }\"}").judged(t)
	require.Contains(t, r.Got, "BASH_FUNC_go%%, a script that every step would begin with")
}
