package guard_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// job is a workflow with one job; its steps run the scripts, one after the other.
func job(head string, scripts ...string) guard.File {
	text := "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n" + indent(head, 4) + "    steps:\n"
	for i, s := range scripts {
		text += fmt.Sprintf("      - id: s%d\n        run: |\n%s", i, indent(s, 10))
	}
	return guard.File{Path: path, Data: []byte(text)}
}

func indent(text string, n int) string {
	if text == "" {
		return ""
	}
	in := strings.Repeat(" ", n)
	return in + strings.ReplaceAll(text, "\n", "\n"+in) + "\n"
}

const prefixes = "strategy:\n  matrix:\n    p: [CORS, ALLOWED]\n    r: [MRTD, RTMR0]"

// Names that are put together are refused, whatever they would become.
func TestAllowedRefusesComputedNames(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]guard.File{
		"matrix":                    job(prefixes, "export ${{ matrix.p }}_${{ matrix.r }}=x"),
		"matrix, other case":        job(prefixes, "export ${{ MATRIX['P'] }}_MRTD=x"),
		"matrix, prefix to command": job(prefixes, "${{ matrix.p }}_MRTD=x mage release:kms"),
		"matrix include": job("strategy:\n  matrix:\n    include:\n      - q: {half: ALLOW}",
			"export ${{ matrix.q.half }}ED_MRTD=x"),
		"matrix to GITHUB_ENV": job(prefixes, `echo "${{ matrix.p }}_MRTD=x" >> "$GITHUB_ENV"`),
		"matrix in options": job(prefixes+"\ncontainer:\n  image: kms:1\n  options: -e ${{ matrix.p }}_MRTD=x",
			"mage x"),
		"matrix in a value":    job(prefixes+"\nenv:\n  ARGS: -e ${{ matrix.p }}_MRTD=x", "mage x"),
		"format":               job("", "echo ${{ format('ALLOW{0}_{1}', 'ED', 'MRTD') }}=x >> $GITHUB_ENV"),
		"format of the matrix": job(prefixes, "export ${{ format('{0}_{1}', matrix.p, matrix.r) }}=x"),
		"fromJSON":             job("", `export ${{ fromJSON('["ALLOWED"]')[0] }}_MRTD=x`),
		"either":               job("", "export ${{ github.ref && 'ALLOWED' || 'X' }}_MRTD=x"),
		"environment":          job("env:\n  P: ALLOWED", "export ${{ env.P }}_MRTD=x"),
		"environment of its own": job(prefixes+"\nenv:\n  P: ${{ matrix.p }}\n  Q: ${{ env.P }}",
			"export ${{ env.Q }}_MRTD=x"),
		"shell reads environment":   job("env:\n  P: ALLOWED", "export ${P}_MRTD=x"),
		"shell variable":            job("", "P=ALLOW\nQ=${P}ED\nexport \"${Q}_MRTD=x\""),
		"shell variable, halves":    job("", "A=ALLO B=WED_MRTD\nenv $A$B=x mage x"),
		"shell loop":                job("", "for p in CORS ALLOWED; do export ${p}_MRTD=x; done"),
		"shell default":             job("", "export ${P:-ALLOWED}_MRTD=x"),
		"shell gets the matrix":     job(prefixes, "P=${{ matrix.p }}\nexport ${P}_MRTD=x"),
		"earlier step's GITHUB_ENV": job("", `echo "P=ALLOWED" >> "$GITHUB_ENV"`, "export ${P}_MRTD=x"),
		"earlier step's output":     job("", `echo "p=ALLOWED" >> "$GITHUB_OUTPUT"`, "mage x ${{ steps.s0.outputs.p }}_MRTD"),
		"printf":                    job("", `printf '%s_%s=x\n' ALLOWED MRTD >> "$GITHUB_ENV"`),
		"unknown name":              job("", `echo "${{ vars.NAME }}=x" >> "$GITHUB_ENV"`),
		"unknown exported":          job("", "export ${{ vars.NAME }}"),
		"unknown shell name":        job("", "export \"$1=x\" \"$NAME=x\""),
		"unknown to docker":         job("", `docker run -e "$NAME=x" kms`),
		"unknown from a command":    job("", "export $(cat .env)"),
		"unknown matrix":            job("strategy:\n  matrix: ${{ fromJSON(vars.MATRIX) }}", "export ${{ matrix.name }}=x"),
		"a file to GITHUB_ENV":      job("", "cat release.env >> $GITHUB_ENV"),
		"a command to GITHUB_ENV":   job("", "mage x | tee -a \"$GITHUB_ENV\""),
		"a variable to GITHUB_ENV":  job("", "echo \"$LINE\" >> \"${GITHUB_ENV}\""),
		"matrix of known names":     job("strategy:\n  matrix:\n    name: [A, B]", "export ${{ matrix.name }}=x"),
		"loop over known names":     job("", "for n in C D; do export $n=x; done"),
		"known environment":         job("env:\n  P: CORS", "export ${P}_ALLOWED_ORIGINS=x"),
		"values that never end": job(
			"env:\n  A: ${{ env.B }}${{ env.B }}${{ env.B }}\n  B: ${{ env.A }}${{ env.A }}${{ env.A }}",
			"export ${{ env.A }}=x"),
		"pwsh": {Path: path, Data: []byte("on: push\njobs:\n  a:\n    runs-on: windows-2025\n    strategy:\n" +
			"      matrix:\n        p: [ALLOWED]\n    steps:\n      - run: $env:${{ matrix.p }}_MRTD = 'x'\n")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := workflowsOf(f)
			require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), string(f.Data))
			require.Contains(t, r.Got, path+":")
		})
	}
}

func TestAllowedClearsInnocentScripts(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]guard.File{
		"profiles": job("strategy:\n  matrix:\n    profile: [debug, locked-read-only]",
			"MERO_KMS_PROFILE=${{ matrix.profile }} mage kms:policy", "export PROFILE=${{ matrix.profile }}"),
		"a loop that prints": job("env:\n  P: a", "for p in a b c; do echo $p$p$p; done"),
		"values": job("", `echo "VERSION=${{ github.ref_name }}" >> "$GITHUB_ENV"`,
			`echo "V=$VERSION" >> "$GITHUB_ENV"`, "export PATH=\"$HOME/bin:$PATH\""),
		"outputs": job("", `echo "${{ vars.NAME }}=x" >> "$GITHUB_OUTPUT"`, `cat x >> "$GITHUB_OUTPUT"`),
		"here-document": job("", "cat >> \"$GITHUB_ENV\" <<EOF\nA=b\nEOF",
			"{\n  echo A=b\n  echo C=d\n} >> \"$GITHUB_ENV\"",
			"echo 'A<<EOF' >> $GITHUB_ENV\necho some words >> $GITHUB_ENV\necho EOF >> $GITHUB_ENV"),
		"GITHUB_ENV is shown": job("", `cat "$GITHUB_ENV"`),
		"a word":              job("", `echo "not ALLOWED here"`, "echo ALLOWED and that is all"),
		"comments": job("",
			"# export ALLOWED_MRTD=x, export $NAME=x, cat x >> $GITHUB_ENV\nmage x # ${P}_MRTD of ALLOWED_MRTD"),
		"the guard itself":     job("", "go tool mage guard:allowed", "go tool mage guard:selftest"),
		"tests":                job("", `if [ "$a" = b ] && [[ $a == b ]]; then mage x --flag=$a --other="$b=$c"; fi`),
		"unknown in an output": job("", "mage x ${{ steps.s0.outputs.p }}_MRTD"),
	} {
		r := workflowsOf(f)
		require.Equal(t, check.Passed, r.Status, "%s: %s", name, r.Got)
	}
}

const actionPath = ".github/actions/setup/action.yml"

func action(inputs, steps string) guard.File {
	return guard.File{Path: actionPath,
		Data: []byte("name: setup\ndescription: sets up\n" + inputs + "runs:\n  using: composite\n  steps:\n" + steps)}
}

func caller(with string) guard.File {
	return guard.File{Path: path, Data: []byte(
		"on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - uses: ./.github/actions/setup\n" + with)}
}

// A workflow that smuggles a variable through what it calls.
func TestAllowedFollowsLocalCalls(t *testing.T) {
	t.Parallel()
	const export = "    - run: export ${{ inputs.name }}=x\n      shell: bash\n"
	const inputs = "inputs:\n  name:\n    description: n\n    default: A\n"
	called := func(uses string) guard.File {
		return guard.File{Path: path,
			Data: []byte("on: push\njobs:\n  a:\n    uses: " + uses + "\n    with:\n      half: ALLOWED\n")}
	}
	reusable := func(script string) guard.File {
		return guard.File{Path: ".github/workflows/called.yml", Data: []byte("on:\n  workflow_call:\n    inputs:\n" +
			"      half:\n        type: string\n        default: CORS\njobs:\n  b:\n    runs-on: ubuntu-24.04\n    steps:\n" +
			"      - run: " + script + "\n")}
	}
	for name, tc := range map[string]struct {
		files []guard.File
		where string // empty: nothing is found
	}{
		"composite sets it": {[]guard.File{caller(""),
			action("", "    - run: echo ALLOWED_RTMR0=x >> $GITHUB_ENV\n      shell: bash\n")}, actionPath},
		"composite passes it on": {[]guard.File{caller(""),
			action("", "    - uses: a/b@v1\n      env:\n        ALLOWED_RTMR0: x\n")}, actionPath},
		"composite gets the name": {[]guard.File{caller(
			"        with:\n          name: ${{ format('ALLOWED{0}', '_RTMR0') }}\n"), action(inputs, export)}, actionPath},
		"composite gets half of it": {[]guard.File{caller("        with:\n          name: ALLOWED\n"),
			action(inputs, "    - run: export ${{ inputs.name }}_RTMR0=x\n      shell: bash\n")}, actionPath},
		"composite reads the env": {[]guard.File{caller("        env:\n          HALF: ALLOWED\n"),
			action("", "    - run: export ${HALF}_RTMR0=x\n      shell: bash\n")}, actionPath},
		"composite is not asked": {[]guard.File{caller("        with:\n          name: B\n"), action(inputs, export)},
			actionPath},
		"composite's default": {[]guard.File{caller(""),
			action("inputs:\n  name:\n    description: n\n    default: ALLOWED\n",
				"    - run: export ${{ inputs.name }}_RTMR0=x\n      shell: bash\n")}, actionPath},
		"composite of composites": {[]guard.File{caller("        with:\n          name: ALLOWED\n"),
			action(inputs, "    - uses: ./.github/actions/inner\n      with: {half: \"${{ inputs.name }}\"}\n"),
			{Path: ".github/actions/inner/action.yaml", Data: []byte("name: i\ndescription: i\nruns:\n  using: composite\n" +
				"  steps:\n    - run: export ${{ inputs.half }}_RTMR0=x\n      shell: bash\n")}},
			".github/actions/inner/action.yaml"},
		"calls itself": {[]guard.File{caller(""),
			action("", "    - uses: ./.github/actions/setup\n      with: {x: \"${{ inputs.x }}y\"}\n")}, ""},
		"not composite": {[]guard.File{caller(""), {Path: actionPath,
			Data: []byte("name: x\ndescription: x\nruns:\n  using: node20\n  main: index.js\n")}}, actionPath},
		"not there": {[]guard.File{caller("")}, path},
		"elsewhere": {
			[]guard.File{{Path: path, Data: []byte(strings.ReplaceAll(string(caller("").Data), "./.github/actions/setup",
				"./tools/setup"))}, action("", export)}, path},
		"alias bomb of a workflow": {[]guard.File{{Path: path, Data: []byte("on: push\nx-a: &a [x, x, x, x, x, x, x, x, x, " +
			"x]\nx-b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nx-c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n" +
			"x-d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\nx-e: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n" +
			"x-f: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e, *e]\nx-g: &g [*f, *f, *f, *f, *f, *f, *f, *f, *f, *f]\njobs: {}\n")}},
			path},
		"steps of no shape": {[]guard.File{action("", "    - nothing: of this\n")}, ""},
		"alias bomb": {[]guard.File{action("", "    - run: x\n      shell: bash\n      env:\n"+
			"        a: &a [x, x, x, x, x, x, x, x, x, x]\n        b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"+
			"        c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n        d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\n"+
			"        e: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n")}, actionPath},
		"reusable workflow": {[]guard.File{called("./.github/workflows/called.yml"),
			reusable("export ${{ inputs.half }}_MRTD=x")}, ".github/workflows/called.yml"},
		"reusable, innocent": {[]guard.File{called("./.github/workflows/called.yml"),
			reusable("echo ${{ inputs.half }}")}, ""},
		"reusable, not called": {[]guard.File{reusable("export ${{ inputs.half }}_MRTD=x")},
			".github/workflows/called.yml"},
		"reusable, not there": {[]guard.File{called("./.github/workflows/other.yml"), reusable("mage x")}, path},
		"reusable of another": {[]guard.File{called("a/b/.github/workflows/other.yml@v1")}, ""},
		"a person's input": {[]guard.File{{Path: path, Data: []byte("on:\n  workflow_dispatch:\n    inputs:\n" +
			"      name:\n        default: A\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n" +
			"      - run: export ${{ github.event.inputs.name }}=x\n")}}, path},
		"a script": {[]guard.File{job("", ". scripts/env.sh"),
			{Path: "scripts/env.sh", Data: []byte("#!/bin/sh\nP=ALLOWED\nexport ${P}_MRTD=x\n")}}, "scripts/env.sh:3"},
		"a script that comments": {[]guard.File{{Path: "scripts/env.sh",
			Data: []byte("#!/bin/sh\n# no ALLOWED_MRTD here\nexec go tool mage release:kms \"$@\"\n")}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := workflowsOf(tc.files...)
			if tc.where == "" {
				require.Equal(t, check.Passed, r.Status, r.Got)
				return
			}
			require.Equal(t, fault.Verification, fault.CodeOf(r.Err()))
			require.Contains(t, r.Got, tc.where+":")
		})
	}
}
