package lint_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/cli/lint"
)

const workflow = "---\nname: a\n\"on\": push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: go version\n"

// repository is a small one with the pinned tools of this one.
func repository(t *testing.T, changes map[string]string) string {
	t.Helper()
	root := t.TempDir()
	files := map[string]string{
		"go.mod":                   "module example.test/a\n\ngo 1.26.0\n",
		"a.go":                     "// Package a is linted.\npackage a\n\n// One is one.\nfunc One() int { return 1 }\n",
		".github/workflows/a.yaml": workflow,
		".gitignore":               read(t, "../../../.gitignore"),
		".yamllint.yaml":           read(t, "../../../.yamllint.yaml"),
		"tools/lint/go.mod":        read(t, "../../../tools/lint/go.mod"),
		"tools/lint/go.sum":        read(t, "../../../tools/lint/go.sum"),
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
	require.NoError(t, lint.Run(t.Context(), repository(t, nil), &out), out.String())
	for _, name := range []string{"gofmt", "go mod tidy in .", "go vet in .", "staticcheck in .", "go mod tidy in tools/lint", "actionlint"} {
		require.Contains(t, out.String(), "[PASS] "+name+"\n")
	}
	require.NotContains(t, out.String(), "go vet in tools/lint", "a module without source")
	require.Regexp(t, `(?m)^\[PASS\] yamllint$|^\[WARN\] yamllint: skipped, it is not installed \(Debian: apt-get install yamllint\)$`, out.String())
}

func TestEveryLinterFires(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	err := lint.Run(t.Context(), repository(t, map[string]string{
		"go.mod":                   "module example.test/a\n\ngo 1.26.0\n\nrequire github.com/google/uuid v1.6.0\n",
		"format.go":                "package a\nfunc  Two() int { return 2 }\n",
		"syntax/syntax.go":         "package syntax\n\nfunc {\n",
		"vet.go":                   "package a\n\nimport \"fmt\"\n\n// Vet prints.\nfunc Vet() { fmt.Printf(\"%d\\n\", \"x\") }\n",
		"static/static.go":         "// Package static is linted.\npackage static\n\nfunc unused() {}\n",
		"twice.yaml":               "a: 1\na: 2\n",
		".github/workflows/b.yaml": workflow + "      - run: echo ${{ github.nonsense }}\n",
	}), &out)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	for _, want := range []string{
		"[FAIL] gofmt", "format.go: not formatted", "syntax.go: 3:6: expected 'IDENT'",
		"[FAIL] go mod tidy in .\n", "-require github.com/google/uuid v1.6.0",
		"[FAIL] go vet in .\n", "Printf format %d has arg",
		"[FAIL] staticcheck in .\n", "func unused is unused (U1000)",
		"[FAIL] actionlint", `property "nonsense" is not defined`,
	} {
		require.Contains(t, out.String(), want)
	}
	if _, err := exec.LookPath("yamllint"); err == nil {
		require.Regexp(t, `(?s)\[FAIL\] yamllint\n.*duplication of key "a"`, out.String())
	}
}

func TestBrokenToolIsNotAFinding(t *testing.T) {
	t.Parallel()
	root := t.TempDir() // no go.mod at all
	var out bytes.Buffer
	require.Error(t, lint.Run(t.Context(), root, &out))
	require.Contains(t, out.String(), "[FAIL] go mod tidy in .")
}
