package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// keyed is a workflow whose job has further keys and one step.
func keyed(keys, script string) tree {
	return tree{path: jobHead + keys + "\n    steps:\n      - run: |\n          " + script + "\n"}
}

const fills = "\necho \"A=$B\" >> \"$GITHUB_ENV\""

// A value of one line is one wherever the file gives it; elsewhere a second line could set any variable.
func TestAllowedRefusesValuesThatMayHaveMoreLines(t *testing.T) {
	t.Parallel()
	twoLines := "name: |\n  x\n  ALLOWED_MRTD=00\n"
	for name, files := range map[string]tree{
		"appended":             run("B=1\nB+=$(cat x)" + fills),
		"an array's first":     run("B=1\nB[0]=$(cat x)" + fills),
		"a default":            run("B=1\nunset B\n: \"${B:=$(cat x)}\"" + fills),
		"a default, if unset":  run("B=1\nunset B\n: \"${B=$(cat x)}\"" + fills),
		"a loop's":             run("B=1\nfor B in \"$(cat x)\"; do\n:\ndone" + fills),
		"an option's":          run("B=1\ngetopts \"$(cat x)\" B" + fills),
		"lines that are read":  run("B=1\nmapfile B < x" + fills),
		"through a reference":  run("B=1\ndeclare -n r=B\nr=$(cat x)" + fills),
		"a text of two lines":  run("n=allowed_mrtd\nB=\"x\n${n^^}=00\"" + fills),
		"quotes before it":     run("export \"B=x\n$(cat x)\"" + fills),
		"a file is sourced":    run("B=1\n. scripts/lib.sh"+fills).and("scripts/lib.sh", "B=$(cat x)\n"),
		"a file is evaluated":  run("B=1\neval '. scripts/lib.sh'"+fills).and("scripts/lib.sh", "B=$(cat x)\n"),
		"GitHub's, handed on":  run("GITHUB_SHA=$(cat x)\nB=$GITHUB_SHA" + fills),
		"another's, handed on": run("C=$(cat x)\nB=$C" + fills),
		"its own, and more":    run("B=1\nB=\"$B$(cat x)\"" + fills),
		"GitHub's, set anew":   run("GITHUB_SHA=$(cat x)\necho \"A=$GITHUB_SHA\" >> \"$GITHUB_ENV\""),
		"GitHub's, read":       run("read -r -d '' GITHUB_SHA < x\necho \"A=$GITHUB_SHA\" >> \"$GITHUB_ENV\""),
		"the home, set anew":   run("HOME=$(cat x)\necho \"A=$HOME\" >> \"$GITHUB_ENV\""),
		"a name like GitHub's": run("RUNNER_X=$(cat x)\necho \"A=$RUNNER_X\" >> \"$GITHUB_ENV\""),
		"the workflow's name":  {path: twoLines + run(`echo "A=$GITHUB_WORKFLOW" >> "$GITHUB_ENV"`)[path]},
		"the same, by context": {path: twoLines + run(`echo "A=${{ github.workflow }}" >> "$GITHUB_ENV"`)[path]},
		"a computed matrix": keyed("    strategy: {matrix: {p: [\"${{ inputs.p }}\"]}}",
			`echo "A=${{ matrix.p }}" >> "$GITHUB_ENV"`),
		"a matrix of lines": keyed("    strategy: {matrix: {p: [\"a\\nallowed_mrtd=00\"]}}",
			`echo "A=${{ matrix.p }}" >> "$GITHUB_ENV"`),
		"a merged matrix": {path: "x: &x {matrix: {p: [\"a\\nb\"]}}\n" +
			keyed("    strategy: {<<: *x}", `echo "A=${{ matrix.p }}" >> "$GITHUB_ENV"`)[path]},
		"a caller's matrix": run("mage x").and("tools/p/action.yml",
			composite+"echo \"A=${{ matrix.p }}\" >> \"$GITHUB_ENV\"\n").
			and(".github/workflows/b.yaml", steps("      - uses: ./tools/p\n")[path]),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := files.judged(t)
			require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), files)
			require.Contains(t, r.Got, "cannot be judged: GITHUB_ENV")
		})
	}
}

// The forms are those of commands; a function or an alias of the same name writes what it likes.
func TestAllowedRefusesCommandsInDisguise(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"echo":     "echo() { command cat policy.env; }\necho A=1 >> \"$GITHUB_ENV\"",
		"printf":   "function printf { command cat policy.env; }\nprintf 'A=1\\n' >> \"$GITHUB_ENV\"",
		"cat":      "cat() { command cat policy.env; }\ncat >> \"$GITHUB_ENV\" <<EOF\nA=1\nEOF",
		"tee":      "tee() { command cp policy.env \"$2\"; }\necho A=1 | tee -a \"$GITHUB_ENV\"",
		"test":     "test() { cat policy.env; }\nif test -f x; then echo A=1; fi >> \"$GITHUB_ENV\"",
		"an alias": "shopt -s expand_aliases\nalias echo='cat policy.env #'\necho A=1 >> \"$GITHUB_ENV\"",
		"a name":   "shopt -s expand_aliases\nalias \"$1=cat policy.env #\"\necho A=1 >> \"$GITHUB_ENV\"",
	} {
		run(script).cannotBeJudged(t, name)
	}
	r := run("test() { go test ./...; }\nenv() { printenv HOME; }\ntest").judged(t)
	require.Equal(t, check.Passed, r.Status, r.Got)
	lib := run(". scripts/lib.sh\necho A=1 >> \"$GITHUB_ENV\"").and("scripts/lib.sh", "echo() { cat policy.env; }\n")
	require.Equal(t, fault.Verification, fault.CodeOf(lib.judged(t).Err()))
}

// What a step prints is its log. What a script prints may be taken for the file to write to.
func TestAllowedRefusesAScriptThatPrintsThePath(t *testing.T) {
	t.Parallel()
	files := run("f=$(scripts/where.sh)\ncat x >> \"$f\"").and("scripts/where.sh", "echo \"$GITHUB_ENV\"\n")
	require.Equal(t, fault.Verification, fault.CodeOf(files.judged(t).Err()))
	files = run("scripts/a.sh").and("scripts/a.sh",
		"if [ -n \"${GITHUB_ENV:-}\" ]; then echo A=1 >> \"$GITHUB_ENV\"; fi\n")
	require.Equal(t, check.Passed, files.judged(t).Status)
}

// Other spellings of the same: each line that is written can be read.
func TestAllowedClearsEveryWayToWriteLiteralLines(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		`echo "A=1" > "$GITHUB_ENV"`, `echo "A=1" 1>> "$GITHUB_ENV"`, `echo A=1 >> "${GITHUB_ENV:-/dev/null}"`,
		`printf '%s\n' "A=1" 'B=2' "C=$GITHUB_SHA" >> "$GITHUB_ENV"`, `printf 'A=1\nB=%s\n' "$GITHUB_SHA" >> "$GITHUB_ENV"`,
		`echo "A=1" | tee --append "$GITHUB_ENV"`, "{ echo A=1; echo B=2; } | tee -a \"$GITHUB_ENV\" > /dev/null",
		"cat <<'EOF' | tee -a \"$GITHUB_ENV\"\nA=1\nEOF", "cat >> \"$GITHUB_ENV\" <<-EOF\n\tA=1\n\tEOF",
		"{\n  # the profile\n  echo \"A=1\"\n\n  echo \"B=2\"\n} >> \"$GITHUB_ENV\"",
		"export B=\"x y\" # the value of B\necho \"A=$B\" >> \"$GITHUB_ENV\"",
		"B='x' && echo \"A=${B%y}\" >> \"$GITHUB_ENV\"",
		"TAG=${GITHUB_REF_NAME}\necho \"TAG=$TAG\" >> \"$GITHUB_ENV\"", "V=\"${GITHUB_REF#refs/tags/}\"\nV=${V#v}" +
			"\necho \"V=${V}\" >> $GITHUB_ENV", "ID=\"$GITHUB_RUN_ID-$GITHUB_RUN_ATTEMPT\"\necho \"ID=$ID\" >> \"$GITHUB_ENV\"",
		". scripts/lib.sh\necho \"TAG=$GITHUB_REF_NAME\" >> \"$GITHUB_ENV\"",
	} {
		r := run(script).and("scripts/lib.sh", "greet() { echo hello; }\n").judged(t)
		require.Equal(t, check.Passed, r.Status, "%s: %s", script, r.Got)
	}
}

// A line behind the first of a format is a line like the first.
func TestAllowedReadsEachLineOfAFormat(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		`printf 'A=1\nALLOWED_MRTD=00\n' >> "$GITHUB_ENV"`, `printf 'A=1\nallowed_mrtd=00\n' >> "$GITHUB_ENV"`,
		`printf '%s\n' A=1 'allowed_mrtd=00' >> "$GITHUB_ENV"`, `printf '%s\n' A=1 "$X" >> "$GITHUB_ENV"`,
		`printf '%s\n' A=1 "$(cat x)" >> "$GITHUB_ENV"`, "cat >> \"$GITHUB_ENV\" <<-EOF\n\tA=1\n\tallowed_mrtd=00\n\tEOF",
	} {
		require.Equal(t, fault.Verification, fault.CodeOf(run(script).judged(t).Err()), script)
	}
}
