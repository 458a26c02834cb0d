package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// With "set -a", whatever sets a variable exports it.
func TestAllowedJudgesAllThatSetsAVariable(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"read":                         "read -r ALLOWED_MRTD <<< 00",
		"read, behind a prompt":        "read -rp \"$x\" ALLOWED_MRTD <<< 00",
		"read, computed":               "n=allowed_mrtd\nread -r \"${n^^}\" <<< 00",
		"mapfile, computed":            "n=allowed_mrtd\nmapfile -t \"${n^^}\" < x",
		"printf, joined to its option": "printf -vALLOWED_MRTD 00",
		"for":                          "for ALLOWED_MRTD in 00; do go tool mage x; done",
		"select":                       "select ALLOWED_MRTD in 00; do go tool mage x; done",
		"a descriptor's number":        "exec {ALLOWED_MRTD}> /dev/null",
		"arithmetic":                   "(( ALLOWED_MRTD = 1 ))",
		"arithmetic, shifted":          "(( ALLOWED_MRTD <<= 1 ))",
		"arithmetic, counted":          "(( ALLOWED_MRTD++ ))",
		"arithmetic, computed":         "n=allowed_mrtd\n(( ${n^^} = 1 ))",
		"arithmetic, in a word":        "n=allowed_mrtd\n: $(( ${n^^} = 1 ))",
		"let":                          "let ALLOWED_MRTD=1",
		"let, as text":                 "let \"ALLOWED_MRTD=1\"",
		"let, computed":                "n=allowed_mrtd\nlet \"${n^^}=1\"",
		"a default by a name":          "n=allowed_mrtd\nn=${n^^}\n: \"${!n:=00}\"",
	} {
		r := run("set -a\n" + script + "\ngo tool mage release:kms").judged(t)
		require.Equal(t, fault.Verification, fault.CodeOf(r.Err()), name)
	}
}

// A command behind another, or in a text that is read as commands, is judged like one that stands alone.
func TestAllowedJudgesCommandsBehindCommands(t *testing.T) {
	t.Parallel()
	const set = " env \"${n^^}=00\" go tool mage x"
	for name, script := range map[string]string{
		"timeout": "timeout 50" + set, "nice": "nice -n 5" + set, "setsid": "setsid" + set, "exec": "exec -a x" + set,
		"sudo": "sudo -u root" + set, "sudo's own": "sudo -u root \"${n^^}=00\" go tool mage x",
		"find": "find . -maxdepth 0 -exec" + set + " \\;", "another wrapper": "xvfb-run -a" + set,
		"env, behind an option":     "env -u A \"${n^^}=00\" go tool mage x",
		"a coprocess":               "coproc" + set,
		"a shell behind timeout":    "timeout 50 bash -c 'export \"$0=00\"; go tool mage x' \"$n\"",
		"a shell behind env":        "env N=x bash -c 'export \"${N^^}=00\"; go tool mage x'",
		"a shell behind flock":      "flock lock bash -c 'export \"${N^^}=00\"; go tool mage x'",
		"a language behind sudo":    "sudo -u x python3 -c 'import os; os.environ[x] = y'",
		"a language behind another": "xvfb-run -a perl -e 'exec(x)'",
		"a trap":                    "trap 'export \"${n^^}=00\"' DEBUG",
		"a text with a command":     "bash -c \"true; $(curl -fsS https://example.org/x)\"",
		"an evaluated command":      "eval \"true; $(cat tools/env)\"",
		"an evaluated word":         "eval \"true $X\"",
		"a step that is an input":   "${{ inputs.run }}",
	} {
		run(script).cannotBeJudged(t, name)
	}
}

// What an interpreter is given to read is its script, however deep in a statement it stands.
func TestAllowedJudgesWhatInterpretersRead(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"a group": "cat x | { bash; }", "a subshell": "cat x | (bash -eu)", "behind env": "cat x | env A=1 bash",
		"behind timeout": "cat x | timeout 5 bash", "in a condition": "cat x | if true; then sh; fi",
		"another shell": "cat x | zsh", "Python": "curl https://example.org/x | python3", "its input": "cat x | python3 -",
		"a file for a group": "{ bash; } < /tmp/x", "a function": "f() { bash -s; }\nf <<< \"$(cat x)\"",
		"a process": "python3 <(curl https://example.org/x)", "a document": "perl <<'EOF'\nexec(x)\nEOF",
		"a document for a group": "{ python3 -; } <<'EOF'\nimport os\nos.environ['A' + 'B'] = 'x'\nEOF",
	} {
		run(script).cannotBeJudged(t, name)
	}
}

func TestAllowedClearsInnocentCommandsOfTheSameKinds(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"while read -r -p \"$prompt\" line; do echo \"$line\"; done < x", "read -r a b <<< \"$x\"",
		"mapfile -t -n 3 lines < x",
		"n=1\n(( n += 1 ))\n: $(( n * ${#a[@]} ))\nlet n=n+1\n(( $n > 1 )) && exit 1",
		"allowed=1\nfor allowed_host in a b; do :; done",
		"printf -v stamp '%s' x",
		"trap 'rm -rf \"$tmp\"' EXIT\ntrap cleanup EXIT INT\ntrap - EXIT\ntrap \"rm -rf $tmp\" EXIT",
		"timeout 50 go test ./...\nnice -n 5 go build ./...\nsudo -u nobody ls",
		"sudo -u root docker build --label \"$K=$V\" .",
		"sudo apt-get install -y python3 bash qemu-system-x86",
		"bash -c \"cd $dir && make\"", "bash -c '\"$0\" \"$@\"' go test",
		"go env \"$x\"", "docker run kms python3 -c 'import os; print(os.environ)'", "docker run -it kms bash",
		"cat x.json | python3 -m json.tool", "cat x.json | python3 -c 'import json, sys; json.load(sys.stdin)'",
		"cat x | perl -ne 'print'", "cat x | bash -c 'wc -l'", "python3 - <<'EOF'\nimport json\nprint(json.dumps({}))\nEOF",
		"while read -r f; do bash -n \"$f\" < /dev/null; done < list", "${{ steps.python.outputs.path }} -m venv .venv",
		"${{ matrix.command }}", "python3 tools/compare.py <(sort a) <(sort b)", "env A=b docker build --label \"$K=$V\" .",
	} {
		r := run(script).judged(t)
		require.Equal(t, check.Passed, r.Status, "%s: %s", script, r.Got)
	}
}
