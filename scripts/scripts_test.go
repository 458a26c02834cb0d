// Package scripts_test runs the spec's scripts.
//
// Its promise: each of the nine is a way to call one target, under the
// arguments that the spec gives it, and ends with that target's exit code.
package scripts_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// stub stands for Go: it says what it was called with, and ends as it is told.
const stub = `#!/bin/sh
printf '%s\n' "cwd=$(pwd -P)" "kms=$MERO_KMS_VERSION" "tee=$MERO_TEE_VERSION" "registry=$GHCR_REGISTRY" \
  "$@" > "$STUB_SAID"
exit "$STUB_EXIT"
`

// run calls a script from elsewhere and returns what reached the stub, and the exit code.
func run(t *testing.T, exit string, env []string, script string, args ...string) (said []string, code int) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go"), []byte(stub), 0o755))
	path, err := filepath.Abs(script)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir = dir
	cmd.Env = append([]string{"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH"), "STUB_EXIT=" + exit,
		"STUB_SAID=" + filepath.Join(dir, "said")}, env...)
	out, err := cmd.CombinedOutput()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		require.NoError(t, err, "%s", out)
	}
	data, err := os.ReadFile(filepath.Join(dir, "said"))
	if errors.Is(err, os.ErrNotExist) {
		require.Contains(t, string(out), "[ERROR] usage: "+filepath.Base(script))
		return nil, code
	}
	require.NoError(t, err)
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), code
}

type call struct {
	args []string
	env  []string
	want string // after "go tool mage", and what reaches the target by its environment
}

var scripts = map[string]struct {
	good []call
	bad  [][]string
}{
	"build-kms-image.sh": {
		[]call{
			{nil, []string{"MERO_KMS_VERSION=1.2.0", "GHCR_REGISTRY=r/o"}, "kms:build kms=1.2.0 registry=r/o"},
			{[]string{"1.3.0"}, []string{"MERO_KMS_VERSION=1.2.0"}, "kms:build kms=1.3.0"},
			{[]string{"1.3.0", "ghcr.io/x"}, []string{"GHCR_REGISTRY=r/o"}, "kms:build kms=1.3.0 registry=ghcr.io/x"},
		}, [][]string{{"1.3.0", "ghcr.io/x", "more"}}},
	"generate-attestation-policy.sh": {
		[]call{{[]string{"1.3.0"}, nil, "kms:policy kms=1.3.0"},
			{nil, []string{"MERO_KMS_VERSION=1.2.0"}, "kms:policy kms=1.2.0"},
			{[]string{"1.3.0", "/a.json", "/b c.json", "-out=/o"}, nil,
				"policy:generate 1.3.0 -measurements=/a.json,/b c.json -out=/o"},
			{[]string{"1.3.0", "/a.json"}, nil, "policy:generate 1.3.0 -measurements=/a.json"},
		}, [][]string{{"1.3.0", "-out=/o"}, {"-out=/o"}, {"1.3.0", "/a,b.json"}, {"1.3.0", "/a.json", "-profile=debug"}}},
	"compute-compose-hash.sh": {
		[]call{{[]string{"1.3.0"}, nil, "kms:composeHash kms=1.3.0"},
			{nil, []string{"MERO_KMS_VERSION=1.3.0-rc.1"}, "kms:composeHash kms=1.3.0-rc.1"},
			{[]string{"/a b/compose.yaml"}, nil, "kms:composeHash -file=/a b/compose.yaml"},
			{[]string{"/compose.yaml", "-env=/v", "-profile=debug"}, nil,
				"kms:composeHash -file=/compose.yaml -env=/v -profile=debug"},
		}, [][]string{{"1.3.0", "docker-compose.yaml"}, {"/compose.yaml", "/other.yaml"}, {"-file=/compose.yaml"}}},
	"publish-kms-release.sh": {
		[]call{{[]string{"1.3.0"}, nil, "kms:publish kms=1.3.0"}}, [][]string{{"1.3.0", "x"}}},
	"verify-release-assets.sh": {
		[]call{{[]string{"mero-kms-v1.3.0", "-quick", "-offline=/a b"}, nil,
			"verify:release mero-kms-v1.3.0 -quick -offline=/a b"}},
		[][]string{{}, {"-quick"}, {"mero-kms-v1.3.0", "release:kms"}}},
	"build-node-image.sh": {
		[]call{
			{[]string{"debug"}, []string{"MERO_TEE_VERSION=1.2.0"}, "node:build -profile=debug tee=1.2.0"},
			{[]string{"locked-read-only", "1.3.0"}, nil, "node:build -profile=locked-read-only tee=1.3.0"},
		}, [][]string{{}, {"debug", "1.3.0", "more"}}},
	"collect-measurements.sh": {
		[]call{{[]string{"debug-read-only", "1.3.0"}, nil, "node:measure -profile=debug-read-only tee=1.3.0"}},
		[][]string{{}, {"debug", "1.3.0", "more"}}},
	"publish-node-release.sh": {
		[]call{{[]string{"1.3.0"}, nil, "node:publish tee=1.3.0"}}, [][]string{{"1.3.0", "x"}}},
	"generate-merod-kms-phala-attestation-config.sh": {
		[]call{{[]string{"-profile=debug", "-kmsURL=https://k", "-tag=mero-kms-v1.3.0", "-attest"}, nil,
			"config:attestation -profile=debug -kmsURL=https://k -tag=mero-kms-v1.3.0 -attest"}},
		[][]string{{}, {"-profile=debug", "release:kms"}}},
}

func TestTheNineScripts(t *testing.T) {
	t.Parallel()
	found, err := filepath.Glob("*.sh")
	require.NoError(t, err)
	require.Len(t, found, 9)
	root, err := filepath.EvalSymlinks(filepath.Join("..", "."))
	require.NoError(t, err)
	root, err = filepath.Abs(root)
	require.NoError(t, err)
	for _, script := range found {
		require.Contains(t, scripts, script)
		for _, c := range scripts[script].good {
			for exit, code := range map[string]int{"0": 0, "1": 1, "2": 2, "10": 10, "11": 11} {
				said, got := run(t, exit, c.env, script, c.args...)
				require.Equal(t, code, got, "%s %v", script, c.args)
				require.Equal(t, "cwd="+root, said[0])
				require.Equal(t, []string{"tool", "mage"}, said[4:6])
				var reached []string
				for _, variable := range said[1:4] {
					if !strings.HasSuffix(variable, "=") {
						reached = append(reached, variable)
					}
				}
				require.Equal(t, c.want, strings.Join(append(said[6:], reached...), " "))
			}
		}
		for _, args := range scripts[script].bad {
			said, code := run(t, "0", nil, script, args...)
			require.Nil(t, said, "%s %v", script, args)
			require.Equal(t, 2, code)
		}
	}
}

// A file is named as seen from where the script was called.
func TestFilesOfTheCaller(t *testing.T) {
	t.Parallel()
	for script, args := range map[string][]string{
		"compute-compose-hash.sh":        {"compose.yaml", "-env=values"},
		"generate-attestation-policy.sh": {"1.3.0", "compose.yaml", "-out=values"},
	} {
		said, code := run(t, "0", nil, script, args...)
		require.Zero(t, code)
		for _, name := range []string{"/compose.yaml", "=/", "/values"} {
			require.Contains(t, strings.Join(said, " "), name, script)
		}
	}
}
