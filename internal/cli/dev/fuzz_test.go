package dev_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/cli/dev"
)

// A find does not keep the other targets from being tried, and the command fails for it.
func TestFuzz(t *testing.T) {
	t.Parallel()
	root := fuzzed(t, "// FuzzBad fails for its first input.\n"+
		"func FuzzBad(f *testing.F) {\n\tf.Add(1)\n\tf.Fuzz(func(t *testing.T, _ int) { t.Error(\"found it\") })\n}\n\n"+
		"func FuzzGood(f *testing.F) {\n\tf.Fuzz(func(*testing.T, int) {})\n}\n")
	var said bytes.Buffer
	second := 1
	err := dev.Fuzz(t.Context(), &said, root, &second)
	require.ErrorContains(t, err, "example.test/a FuzzBad")
	require.NotContains(t, err.Error(), "FuzzGood")
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.Regexp(t, `\[FAIL\] example\.test/a FuzzBad: after \d+ inputs\n`, said.String())
	require.Contains(t, said.String(), "found it")
	require.Regexp(t, `(?m)^\[PASS\] example\.test/a FuzzGood: [1-9]\d* inputs tried$`, said.String())
}

// What was stopped has found nothing.
func TestFuzzIsStopped(t *testing.T) {
	t.Parallel()
	root := fuzzed(t, "func FuzzGood(f *testing.F) {\n\t_ = os.Mkdir(\"begun\", 0o700)\n"+
		"\tf.Fuzz(func(*testing.T, int) {})\n}\n")
	ctx, stop := context.WithCancel(t.Context())
	var said bytes.Buffer
	ended, long := make(chan error, 1), 3600
	go func() { ended <- dev.Fuzz(ctx, &said, root, &long) }()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(root, "begun"))
		return err == nil
	}, hang.Limit(t), 10*time.Millisecond)
	stop()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.Empty(t, said.String())
}

func TestFuzzRefuses(t *testing.T) {
	t.Parallel()
	nothing := 0
	err := dev.Fuzz(t.Context(), t.Output(), fuzzed(t, "func FuzzA(*testing.F) {}\n"), &nothing)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	err = dev.Fuzz(t.Context(), t.Output(), fuzzed(t, "func TestA(*testing.T) {}\n"), nil)
	require.ErrorContains(t, err, "there is no fuzz target in ")
}

// fuzzed is a module with these tests.
func fuzzed(t *testing.T, tests string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":    "module example.test/a\n\ngo 1.26.0\n",
		"a.go":      "package a\n",
		"a_test.go": "package a\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nvar _ = os.Mkdir\n\n" + tests,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o600))
	}
	return root
}
