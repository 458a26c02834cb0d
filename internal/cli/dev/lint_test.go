package dev_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/cli/dev"
)

const workflow = "---\nname: a\n\"on\": push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n" +
	"    steps:\n      - run: go version\n"

// repository is a small one with the pinned tools and the configuration of this one.
func repository(t *testing.T, changes map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"go.mod": "module example.test/a\n\ngo 1.26.0\n",
		"cmd/main.go": "// Package main is a program.\npackage main\n\nimport \"example.test/a\"\n\n" +
			"func main() { println(a.One()) }\n",
		"a.go":                     "// Package a is linted.\npackage a\n\n// One is one.\nfunc One() int { return 1 }\n",
		".github/workflows/a.yaml": workflow,
		".gitignore":               read(t, "../../../.gitignore"),
		".yamllint.yaml":           read(t, "../../../.yamllint.yaml"),
		".golangci.yaml":           read(t, "../../../.golangci.yaml"),
	}
	for _, module := range []string{"tools/lint/", "tools/golangci-lint/"} {
		files[module+"go.mod"] = read(t, "../../../"+module+"go.mod")
		files[module+"go.sum"] = read(t, "../../../"+module+"go.sum")
	}
	for name, content := range changes {
		files[name] = content
	}
	for name, content := range files {
		path := filepath.Join(root, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
	}
	return root
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	return string(content)
}

func TestCleanRepositoryPasses(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	require.NoError(t, dev.Lint(t.Context(), repository(t, nil), &out), out.String())
	for _, name := range []string{"gofmt", "golangci-lint in .", "go mod tidy in .", "go mod tidy in tools/lint",
		"deadcode", "actionlint"} {
		require.Contains(t, out.String(), "[PASS] "+name+"\n")
	}
	require.NotContains(t, out.String(), "golangci-lint in tools/lint", "a module without source")
	require.Regexp(t,
		`(?m)^\[PASS\] yamllint$|^\[WARN\] yamllint: skipped, it is not installed \(Debian: apt-get install yamllint\)$`,
		out.String())
}

func TestEveryLinterFires(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs every linter")
	}
	var out bytes.Buffer
	err := dev.Lint(t.Context(), repository(t, map[string]string{
		"go.mod":    "module example.test/a\n\ngo 1.26.0\n\nrequire github.com/google/uuid v1.6.0\n",
		"format.go": "package a\nfunc  two() int { return 2 }\n",
		"vet.go": "package a\n\nimport \"fmt\"\n\n// Vet prints.\nfunc Vet() { fmt.Printf(\"%d\\n\", " +
			"\"x\") }\n",
		"long.go":                  "package a\n\n// " + strings.Repeat("on and ", 20) + "on\n",
		"wrong.go":                 wrong,
		"a/testdata/x.go":          "package x\nfunc  x() {}\n",
		"twice.yaml":               "a: 1\na: 2\n",
		".github/workflows/b.yaml": workflow + "      - run: echo ${{ github.nonsense }}\n",
	}), &out)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	for _, want := range []string{
		"[FAIL] golangci-lint in .\n", "(gofmt)", "Printf format %d has arg", "func two is unused (unused)",
		"(bodyclose)", "(errcheck)", "(errorlint)", "(gosec)", "(govet)", "(ineffassign)", "(lll)", "(nilerr)", "(noctx)",
		"(nolintlint)",
		"(revive)", "(staticcheck)",
		"[FAIL] go mod tidy in .\n", "-require github.com/google/uuid v1.6.0",
		"[FAIL] gofmt\n", "+func x() {}",
		"[FAIL] deadcode\n", "vet.go:6:6: unreachable func: Vet",
		"[FAIL] actionlint", `property "nonsense" is not defined`,
	} {
		require.Contains(t, out.String(), want)
	}
	if _, err := exec.LookPath("yamllint"); err == nil {
		require.Regexp(t, `(?s)\[FAIL\] yamllint\n.*duplication of key "a"`, out.String())
	}
}

// wrong has a finding for each linter of .golangci.yaml.
const wrong = `package a

import (
	"errors"
	"io"
	"math/rand"
	"net/http"
	"os"
)

var unexplained = 1 //nolint

func Undocumented() error {
	answer, err := http.Get("https://example.test/")
	if err != nil {
		return nil
	}
	os.Remove("x")
	if _, err = io.ReadAll(answer.Body); err == io.ErrUnexpectedEOF {
		return errors.New("with a full stop.")
	}
	n := rand.Int()
	n = 1
	println(n, unexplained)
	return nil
}
`

func TestSyntaxErrors(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := dev.Lint(t.Context(), repository(t, map[string]string{"syntax/syntax.go": "package syntax\n\nfunc {\n"}), &out)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.Regexp(t, `(?s)\[FAIL\] golangci-lint in .\n.*syntax.go:3:6: .*expected 'IDENT'`, out.String())
}

func TestBrokenToolIsNotAFinding(t *testing.T) {
	t.Parallel()
	root := t.TempDir() // no go.mod at all
	var out bytes.Buffer
	require.Error(t, dev.Lint(t.Context(), root, &out))
	require.Contains(t, out.String(), "[FAIL] go mod tidy in .")
}

const playbook = "---\n- name: Make an image\n  hosts: all\n  tasks:\n    - name: Say hello\n" +
	"      ansible.builtin.debug:\n        msg: hello\n"

// playbooks is a repository with a playbook of this text.
func playbooks(t *testing.T, text string) string {
	return repository(t, map[string]string{"ansible/node.yml": text,
		"ansible/.ansible-lint":             read(t, "../../../ansible/.ansible-lint"),
		"ansible/roles/base/tasks/main.yml": "---\n- name: Say hello\n  ansible.builtin.debug:\n    msg: hello\n"})
}

func TestAnsibleLint(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("runs every linter")
	}
	var out bytes.Buffer
	require.NoError(t, dev.Lint(t.Context(), playbooks(t, playbook), &out), out.String())
	if _, err := exec.LookPath("ansible-lint"); err != nil {
		require.Contains(t, out.String(), "[WARN] ansible-lint: skipped, it is not installed")
		return
	}
	require.Contains(t, out.String(), "[PASS] ansible-lint\n")

	out.Reset()
	err := dev.Lint(t.Context(), playbooks(t, playbook+"    - shell: rm -rf /tmp/x\n"), &out)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.Regexp(t, `(?s)\[FAIL\] ansible-lint\n.*command-instead-of-shell`, out.String())
}

// A repository with a template and without the pins of Packer cannot be judged; that is no finding.
func TestPackerWithoutItsPins(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := dev.Lint(t.Context(), repository(t, map[string]string{"packer/node.pkr.hcl": ""}), &out)
	require.ErrorContains(t, err, "packer: ")
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.NotContains(t, out.String(), "[PASS] packer")
}
