package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const (
	setsInMake    = "export ALLOWED_MRTD := 00\n"
	setsInImage   = "FROM scratch\nENV ALLOWED_MRTD=00\n"
	setsInCompose = "services: {a: {environment: {ALLOWED_MRTD: x}}}\n"
)

// A program reads files of the folder that it is told or works in, and files that other files name.
func TestAllowedReadsWhatProgramsReadByThemselves(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]tree{
		"make in a folder":   run("make -C tools release").and("tools/Makefile", setsInMake),
		"make, joined":       run("make -Ctools").and("tools/GNUmakefile", setsInMake),
		"make, behind cd":    run("cd tools && make").and("tools/Makefile", setsInMake),
		"make, another file": run("make --file=tools/r.mk").and("tools/r.mk", setsInMake),
		"make, a file of a file": run("make").and("Makefile", "-include tools/a.mk tools/b.mk\n").
			and("tools/b.mk", setsInMake),
		"compose":             run("docker compose --file=tools/c.yaml up").and("tools/c.yaml", setsInCompose),
		"compose in a folder": run("cd tools; docker compose up").and("tools/compose.yaml", setsInCompose),
		"compose includes":    {"docker/c.yaml": "include: [../tools/c.yaml]\n", "tools/c.yaml": setsInCompose},
		"compose extends": {"docker/c.yaml": "services: {a: {extends: {file: ../tools/c.yaml}}}\n",
			"tools/c.yaml": setsInCompose},
		"compose, a file of names": {"docker/c.yaml": "services: {a: {env_file: [{path: k.env}]}}\n",
			"docker/k.env": "ALLOWED_MRTD=00\n"},
		"compose, an outer file": {"docker/c.yaml": "services: {a: {env_file: [{path: ../k/k.env}]}}\n",
			"k/k.env": "ALLOWED_MRTD=00\n"},
		"compose, no file of names": {"docker/c.yaml": "services: {a: {env_file: [{path: made.env}]}}\n"},
		"docker build":              run("docker build tools/kms").and("tools/kms/Dockerfile", setsInImage),
		"docker build, in a folder": steps("      - {working-directory: tools/kms, run: docker build .}\n").
			and("tools/kms/Dockerfile", setsInImage),
		"an action's folder": steps("      - {uses: docker/build-push-action@v6, with: {context: tools/kms}}\n").
			and("tools/kms/Dockerfile", setsInImage),
		"an action's file": steps("      - {uses: docker/build-push-action@v6, with: {file: tools/kms/D}}\n").
			and("tools/kms/D", setsInImage),
		"a program by its name": run("cd tools; python3 release.py").and("tools/release.py", "import os\nos.execvp(x, y)\n"),
		"a program of a step's folder": steps("      - {working-directory: tools, run: node release.js}\n").
			and("tools/release.js", "process.env['A'] = 1\n"),
		"variables of a play": {"ansible/a.yml": "- {hosts: all, vars_files: [../tools/v.yml]}\n",
			"tools/v.yml": "environment: {ALLOWED_MRTD: x}\n"},
	} {
		require.Equal(t, fault.Verification, fault.CodeOf(files.judged(t).Err()), name)
	}
	innocent := run("make -C tools\ncd tools\nls docs go.mod").and("tools/Makefile", "all:\n\tgo build ./...\n").
		and("docs/x.md", "ALLOWED_MRTD=00\n").and("docs/x.sh", "export ALLOWED_MRTD=00\n")
	r := innocent.judged(t)
	require.Equal(t, check.Passed, r.Status, r.Got)
}

// Where an image, a play or a Makefile sets a variable, its name is written out as far as it could start with ALLOWED_.
func TestAllowedRefusesComputedNamesInAllFiles(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]tree{
		"Dockerfile":          {"docker/Dockerfile": "FROM scratch\nARG P=ALLOWED\nENV ${P}_MRTD=00\n"},
		"Dockerfile, second":  {"docker/Dockerfile": "FROM scratch\nENV A=b AL$P=00\n"},
		"Dockerfile, onbuild": {"docker/Dockerfile": "FROM scratch\nONBUILD ENV $P=00\n"},
		"compose list":        {"docker/c.yaml": "services: {a: {environment: [\"${P:-ALLOWED}_MRTD=00\"]}}\n"},
		"compose build":       {"docker/c.yaml": "services: {a: {build: {args: [\"${P}=00\"]}}}\n"},
		"a play":              {"ansible/a.yml": "- hosts: all\n  environment: \"{{ release_environment }}\"\n"},
		"Packer":              {"packer/node.pkr.hcl": "environment_vars = [\"A=b\", \"${var.p}_MRTD=00\"]\n"},
		"make":                {"Makefile": "P = ALLOWED\nexport $(P)_MRTD := 00\n"},
	} {
		files.cannotBeJudged(t, name)
	}
	for name, files := range map[string]tree{
		"Dockerfile":   {"docker/Dockerfile": "FROM scratch\nARG P\nENV PATH=$PATH:/x IMAGE_$P=1\nENV A $B\nLABEL $P=x\n"},
		"compose list": {"docker/c.yaml": "services: {a: {environment: [\"A=${B}\"], args: [\"${X}\"]}}\n"},
		"a play":       {"ansible/a.yml": "- hosts: all\n  environment: {A: \"{{ a }}\"}\n"},
		"Packer":       {"packer/node.pkr.hcl": "environment_vars = [\"A=${var.b}\", \"C=d\"]\n"},
		"make":         {"Makefile": "export PATH := $(PATH):bin\nexport GOFLAGS = $(F)\n"},
	} {
		r := files.judged(t)
		require.True(t, r.OK(), "%s: %s", name, r.Got)
	}
}

// A comment is what the file's own syntax takes for one.
func TestAllowedReadsCommentsByTheirSyntax(t *testing.T) {
	t.Parallel()
	for name, files := range map[string]tree{
		"a comment behind text that systemd takes for none": {
			"ansible/roles/a/templates/k.service.j2": "[Service]\nEnvironment=A=b # ALLOWED_MRTD=00\n"},
		"a comment that begins in a string": {
			"magefiles/a.go": "package main\n\nvar a = \"/*\"; func f() { os.Getenv(\"ALLOWED_MRTD\") }; var b = \"*/\"\n"},
		"a line of a raw string": {
			"magefiles/a.go": "package main\n\nvar a = `\n// ` + os.Getenv(\"ALLOWED_MRTD\")\n"},
		"a comment that begins in a string of Packer": {
			"packer/a.pkr.hcl": "a = \"/*\"\nb = \"ALLOWED_MRTD\"\nc = \"*/\"\n"},
	} {
		require.Equal(t, fault.Verification, fault.CodeOf(files.judged(t).Err()), name)
	}
	for name, files := range map[string]tree{
		"a block of Go":     {"magefiles/a.go": "package main\n\n/*\nno ALLOWED_MRTD\n*/\n"},
		"quotes in Go's":    {"magefiles/a.go": "package main\n\nvar a = 1 // don't set \"ALLOWED_MRTD\"\n"},
		"a block of Packer": {"packer/a.pkr.hcl": "/*\n no ALLOWED_MRTD here\n*/\nvariable \"a\" {}\n"},
		"quotes in Packer's": {
			"packer/a.pkr.hcl": "a = \"b\" # don't set \"ALLOWED_MRTD\"\n"},
		"systemd's": {"ansible/a.service": "[Service]\n# no ALLOWED_MRTD\n; nor ALLOWED_RTMR0\nEnvironment=A=b\n"},
		"a form for issues": {".github/ISSUE_TEMPLATE/bug.yml": "body:\n  - type: markdown\n    attributes:\n" +
			"      value: Did you set ALLOWED_MRTD?\n"},
	} {
		r := files.judged(t)
		require.True(t, r.OK(), "%s: %s", name, r.Got)
	}
}

// A file for a shell that is not followed is refused like a step for one.
func TestAllowedRefusesFilesForOtherShells(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"scripts/a.fish": "set -gx $n 00\n", "scripts/a.zsh": "typeset -x ${(U)n}=00\n",
		"scripts/a.ps1": "Write-Output hello\n", "scripts/a.bat": "set %N%=00\n", "scripts/a.csh": "setenv $n 00\n",
		"scripts/a": "#!/usr/bin/env zsh\n: ${(P)n::=00}\n",
		"scripts/b": "#!/usr/bin/fish\nset -gx $n 00\n",
	} {
		r := tree{name: text}.judged(t)
		require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), name)
		require.Contains(t, r.Got, "cannot be judged: a script for another shell", name)
	}
	r := tree{"docker/a.ps1": "Write-Output hello\n"}.judged(t)
	require.Equal(t, check.Passed, r.Status, r.Got)
}
