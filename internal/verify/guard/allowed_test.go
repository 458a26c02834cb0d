package guard_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// workflow has a hole at each place where a variable can be set; an unfilled hole is an empty line.
const workflow = `name: Guard 4 (no ALLOWED_* variables)
on:
  push:
    tags: ['mero-kms-v*']
%[1]s
jobs:
  release:
    name: No ALLOWED_MRTD here
    runs-on: ubuntu-24.04
%[2]s
    steps:
      - name: Without ALLOWED_RTMR0
        run: |
          # ALLOWED_MRTD=... is forbidden, see the guide
          echo hello # not ALLOWED_TCB_STATUS either
          jq -r '.allowed_mrtd[], .allowed_tcb_status[]' policy.json
          CORS_ALLOWED_ORIGINS=none mage release:kms
%[3]s
%[4]s
`

const path = ".github/workflows/release-kms-phala.yaml"

func with(hole int, text string) guard.File {
	holes := []any{"", "", "", ""}
	indent := []string{"", "    ", "        ", ""}[hole]
	holes[hole] = indent + strings.ReplaceAll(text, "\n", "\n"+indent)
	return guard.File{Path: path, Data: fmt.Appendf(nil, workflow, holes...)}
}

func workflowsOf(f ...guard.File) check.Result { return guard.Allowed(nil, f)[1] }

func TestAllowedPassesCleanWorkflow(t *testing.T) {
	t.Parallel()
	r := workflowsOf(with(0, ""))
	require.Equal(t, check.Passed, r.Status, r.Got)
	require.Equal(t, check.Inapplicable, workflowsOf().Status)
}

// The four holes: the workflow, the job, the step, further steps and jobs.
func TestAllowedFires(t *testing.T) {
	t.Parallel()
	step := func(script string) string {
		return "      - run: |\n          " + strings.ReplaceAll(script, "\n", "\n          ")
	}
	for name, tc := range map[string]struct {
		hole int
		text string
	}{
		"workflow env":             {0, "env:\n  ALLOWED_MRTD: x"},
		"workflow env, lower case": {0, "env:\n  allowed_anything: x"},
		"workflow env, mixed case": {0, "env:\n  Allowed_Mrtd: x"},
		"workflow env, flow style": {0, "env: {'ALLOWED_RTMR0': x}"},
		"value of another":         {0, "env:\n  NAME: ALLOWED_MRTD"},
		"default of an input":      {0, "  workflow_dispatch:\n    inputs:\n      list:\n        default: ALLOWED_MRTD=x"},
		"defaults":                 {0, "concurrency: ${{ vars.ALLOWED_MRTD }}"},
		"job env":                  {1, "env:\n  ALLOWED_RTMR1: x"},
		"job env from expression":  {1, "env: ${{ fromJSON(vars.ALL) }}"},
		"job if":                   {1, "if: vars.allowed_mrtd != ''"},
		"container env":            {1, "container:\n  image: node:18\n  env:\n    ALLOWED_RTMR2: x"},
		"container options":        {1, "container:\n  image: node:18\n  options: -e ALLOWED_RTMR2=x"},
		"service env":              {1, "services:\n  kms:\n    image: kms:1\n    env:\n      ALLOWED_RTMR3: x"},
		"computed services":        {1, "services: ${{ fromJSON(vars.ALL) }}"},
		"matrix name":              {1, "strategy:\n  matrix:\n    ALLOWED_MRTD: [x]"},
		"matrix name, lower case":  {1, "strategy:\n  matrix:\n    allowed_mrtd: [x]"},
		"matrix value":             {1, "strategy:\n  matrix:\n    name: [ALLOWED_MRTD, ALLOWED_RTMR0]"},
		"matrix include":           {1, "strategy:\n  matrix:\n    include:\n      - name: ALLOWED_MRTD=x"},
		"job output":               {1, "outputs:\n  x: ${{ env.ALLOWED_MRTD }}"},
		"step env":                 {2, "env:\n  ALLOWED_TCB_STATUS: x"},
		"step if":                  {2, "if: ${{ env.ALLOWED_MRTD }}"},
		"step anchor":              {2, "env: &e\n  allowed_x: x"},
		"action input": {3,
			"      - uses: actions/github-script@v7\n        with:\n          script: core.exportVariable('ALLOWED_MRTD', 'x')"},
		"action input name": {3, "      - uses: a/b@v1\n        with:\n          allowed_mrtd: x"},
		"action env":        {3, "      - uses: a/b@v1\n        env:\n          allowed_mrtd: x"},
		"reusable with":     {3, "  call:\n    uses: ./.github/workflows/x.yaml\n    with:\n      Allowed_Rtmr0: x"},
		"reusable with, value": {3,
			"  call:\n    uses: ./.github/workflows/x.yaml\n    with:\n      env: ALLOWED_RTMR0=x"},
		"reusable secrets": {3,
			"  call:\n    uses: ./.github/workflows/x.yaml\n    secrets:\n      ALLOWED_MRTD: ${{ secrets.x }}"},
		"reusable secret looked up": {3,
			"  call:\n    uses: ./.github/workflows/x.yaml\n    secrets:\n      x: ${{ secrets['allowed_mrtd'] }}"},
		"run assigns":               {3, step("ALLOWED_MRTD=x mage release:kms")},
		"run assigns, lower case":   {3, step("allowed_mrtd=x mage release:kms")},
		"run exports":               {3, step("export ALLOWED_MRTD")},
		"run declares, lower case":  {3, step("declare -x allowed_mrtd")},
		"run through env":           {3, step("env ALLOWED_MRTD=x mage release:kms")},
		"run through docker":        {3, step("docker run -e ALLOWED_MRTD kms")},
		"run one line":              {3, "      - run: ALLOWED_MRTD=x mage release:kms"},
		"run folded":                {3, "      - run: >\n          mage x &&\n          ALLOWED_MRTD=x mage release:kms"},
		"run split by quotes":       {3, step(`export AL"LOWED"_MRTD=x`)},
		"run continued":             {3, step("export ALLO\\\nWED_MRTD=x")},
		"run name computed":         {3, step("export ALLOWED_${{ matrix.register }}=x")},
		"run expression":            {3, step("echo ${{ vars.allowed_mrtd }}")},
		"run expression in comment": {3, step("# ${{ vars.ALLOWED_MRTD }}")},
		"GITHUB_ENV":                {3, step(`echo "ALLOWED_MRTD=x" >> "$GITHUB_ENV"`)},
		"GITHUB_ENV, lower case":    {3, step(`echo "allowed_mrtd=x" >> "$GITHUB_ENV"`)},
		"GITHUB_ENV, multi-line":    {3, step(`echo "allowed_mrtd<<END" >> "$GITHUB_ENV"`)},
		"GITHUB_ENV, here-document": {3, step("cat >> \"$GITHUB_ENV\" <<EOF\n# a heading\nALLOWED_MRTD=x\nEOF")},
		"GITHUB_ENV, after #":       {3, step(`echo "# ALLOWED_MRTD=x" >> "$GITHUB_ENV"`)},
		"tee":                       {3, step(`printf 'ALLOWED_%s=x\n' MRTD RTMR0 | tee -a "$GITHUB_ENV"`)},
		"pwsh":                      {3, "      - shell: pwsh\n        run: $env:allowed_mrtd = 'x'"},
		"pwsh comment is no excuse": {3, "      - shell: pwsh\n        run: |\n          <# ALLOWED_MRTD #> $x = 1"},
		"not a workflow":            {0, "jobs: 3"},
		"not YAML":                  {0, "env: {"},
		"second document":           {3, "---\nenv: {}"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := with(tc.hole, tc.text)
			r := workflowsOf(f)
			require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), string(f.Data))
			require.Regexp(t, `^\.github/workflows/release-kms-phala\.yaml:\d+: `, r.Got)
		})
	}
}

func TestAllowedNamesFileLineAndPlace(t *testing.T) {
	t.Parallel()
	f := with(3, "      - run: |\n          echo one\n          export ALLOWED_MRTD=secret-value")
	line := 1 + bytes.Count(f.Data[:bytes.Index(f.Data, []byte("export"))], []byte("\n"))
	got := workflowsOf(f).Got
	require.Equal(t, fmt.Sprintf("%s:%d: ALLOWED_MRTD in jobs.release.steps.1.run", path, line), got)
	require.NotContains(t, got, "secret-value")
}

func TestAllowedReadsCompositeActions(t *testing.T) {
	t.Parallel()
	action := func(body string) guard.File {
		return guard.File{Path: ".github/actions/setup/action.yml",
			Data: []byte("name: setup\ndescription: no ALLOWED_MRTD\nruns:\n  using: composite\n  steps:\n    - name: x\n" +
				body)}
	}
	require.Equal(t, check.Passed, workflowsOf(action("      run: mage doctor # ALLOWED_MRTD\n      shell: bash\n")).
		Status)
	for name, body := range map[string]string{
		"env":                      "      env: {allowed_mrtd: x}\n      run: mage doctor\n      shell: bash\n",
		"run":                      "      run: echo ALLOWED_MRTD=x >> $GITHUB_ENV\n      shell: bash\n",
		"not YAML":                 "      run: {\n",
		"alias of what it lies in": "a: &a {b: *a}\n",
		"merged into itself":       "a: &a\n  <<: *a\n",
		"two documents":            "      run: mage doctor\n      shell: bash\n---\nx: y\n",
		"alias bomb": "a: &a [x, x, x, x, x, x, x, x, x, x]\n" +
			"b: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\n" +
			"d: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: [*d, *d, *d, *d, *d, *d, *d, *d, *d, *d, *d]\n",
	} {
		require.Equal(t, fault.Verification, fault.CodeOf(workflowsOf(action(body)).Err()), name)
	}
}

func TestAllowedEnvironment(t *testing.T) {
	t.Parallel()
	require.Equal(t, check.Passed,
		guard.Allowed([]string{"PATH=/bin", "CORS_ALLOWED_ORIGINS=x", "NOT=ALLOWED_MRTD", "ALLOWED=x", ""}, nil)[0].Status)
	for _, e := range []string{"ALLOWED_MRTD=abc", "ALLOWED_TCB_STATUS=abc", "allowed_rtmr0=abc", "ALLOWED_=abc",
		"ALLOWED_MRTD="} {
		r := guard.Allowed([]string{"PATH=/bin", e}, nil)[0]
		require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), e)
		require.NotContains(t, r.Got, "abc", "values are never shown")
	}
}

func TestWorkflowsReadsWhatBuildsAndReleases(t *testing.T) {
	t.Parallel()
	file := func(n int) *fstest.MapFile { return &fstest.MapFile{Data: make([]byte, n)} }
	files, err := guard.Workflows(fstest.MapFS{".github/workflows/b.yml": file(1), ".github/workflows/a.yaml": file(1),
		".github/workflows/x/c.yml":  file(1),
		".github/workflows/notes.md": file(1), ".github/actions/p/q/action.yaml": file(1), "Makefile": file(1),
		"docs/x.sh": file(1), "internal/x.go": file(1),
		"scripts/x_test.go": file(1), "docker/testdata/x": file(1), "tools/y.sh": file(1),
		"scripts/x.sh": {Data: []byte(". tools/y.sh\n")}})
	require.NoError(t, err)
	var names []string
	for _, f := range files {
		names = append(names, f.Path)
	}
	require.Equal(t, []string{".github/actions/p/q/action.yaml", ".github/workflows/a.yaml", ".github/workflows/b.yml",
		".github/workflows/x/c.yml",
		"Makefile", "scripts/x.sh", "tools/y.sh"}, names)

	files, err = guard.Workflows(fstest.MapFS{"README.md": file(1)})
	require.NoError(t, err)
	require.Empty(t, files)
	_, err = guard.Workflows(fstest.MapFS{".github/workflows/a.yaml": file(1<<20 + 1)})
	require.ErrorContains(t, err, "larger than")
}

func FuzzAllowed(f *testing.F) {
	f.Add("on: push\njobs:\n  a:\n    runs-on: x\n    steps:\n      - run: echo hi\n")
	f.Add("a: &a [*a]\n")
	f.Add("<0")
	f.Add("a: &a\n  <<: *a\n")
	f.Add("cat <<EOF >> $GITHUB_ENV\n# x\nEOF\necho 'a # b' \\\n c # d")
	f.Add("echo \"$(printf '%s # ' x)\" ${!x} {a,b}=c $'\\x41' <(a)")
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range []string{".github/workflows/a.yaml", ".github/actions/a/action.yml", "scripts/a.sh",
			"docker/a.json", "docker/Dockerfile"} {
			require.NotEmpty(t, workflowsOf(guard.File{Path: p, Data: []byte(text)}).Status)
		}
	})
}
