package cli

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/magefile/mage/mg"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// Mage looks for an exit code on the outermost error only.
func TestExit(t *testing.T) {
	t.Parallel()
	require.NoError(t, Exit("sweep", nil))
	for name, tc := range map[string]struct {
		err  error
		code int
		text string
	}{
		"a fault": {&fault.Error{Code: fault.Verification, Step: "kms:audit"}, 10, "kms:audit"},
		"wrapped": {fmt.Errorf("while: %w", &fault.Error{Code: fault.MissingAsset, Step: "kms:sign"}), 11,
			"kms:sign"},
		"joined":           {errors.Join(errors.New("a"), &fault.Error{Code: fault.Usage}), 2, "stopped"},
		"an unknown error": {errors.New("broken pipe"), 1, "stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := exit(tc.err)
			require.Equal(t, tc.code, mg.ExitStatus(err))
			require.EqualError(t, err, tc.text)
		})
	}
}

// "Every error is printed once": what only could not start because of the first is not news.
func TestFirstFailureDecides(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &session{console: console.New(&out, false)}
	require.NoError(t, s.fail("kms:build", nil))
	require.Equal(t, 10,
		mg.ExitStatus(s.fail("kms:version", &fault.Error{Code: fault.Verification, Message: "the guard says no"})))
	blocked := &fault.Error{Code: fault.General, Message: "this step needs kms:version",
		Err: &pipeline.BlockedError{Missing: "kms:version"}}
	require.Equal(t, 10, mg.ExitStatus(s.fail("kms:build", blocked)), "the exit code is the cause's")
	require.Equal(t, 10, mg.ExitStatus(s.fail("kms:policy", errors.New("disk full"))))
	require.Contains(t, out.String(), "kms:version: the guard says no")
	require.NotContains(t, out.String(), "this step needs")
	require.Contains(t, out.String(), "kms:policy: disk full", "a failure of its own is printed")
}

func TestBlockedAloneIsPrinted(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := &session{console: console.New(&out, false)}
	blocked := &fault.Error{Code: fault.General, Message: "kms:sbom needs kms:build",
		Err: &pipeline.BlockedError{Missing: "kms:build"}, Hint: "run it first"}
	require.Equal(t, 1, mg.ExitStatus(s.fail("kms:sbom", blocked)))
	require.Contains(t, out.String(), "kms:sbom needs kms:build")
	require.Contains(t, out.String(), "run it first")
}
