package fault_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func TestCodeSurvivesWrapping(t *testing.T) {
	t.Parallel()
	base := &fault.Error{Code: fault.MissingAsset, Message: "sbom.spdx.json is not in the release",
		Hint: "run mage kms:sbom"}
	for name, tc := range map[string]struct {
		err  error
		want fault.Code
	}{
		"nil":     {nil, fault.Success},
		"foreign": {errors.New("x"), fault.General},
		"direct":  {base, fault.MissingAsset},
		"wrapped": {fmt.Errorf("audit: %w", base), fault.MissingAsset},
		"joined":  {errors.Join(errors.New("x"), base), fault.MissingAsset},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.want, fault.CodeOf(tc.err))
		})
	}
}

func TestAtNamesTheStepOnce(t *testing.T) {
	t.Parallel()
	base := &fault.Error{Code: fault.Verification, Message: "register differs", Expected: "aa", Got: "bb"}
	named := fault.At("kms:audit", base)
	require.EqualError(t, named, "kms:audit: register differs")
	require.Empty(t, base.Step, "the original is not changed")
	require.Same(t, named, fault.At("kms:publish", named), "the innermost step wins")

	wrapped := fault.At("kms:audit", fmt.Errorf("profile debug: %w", base))
	require.EqualError(t, wrapped, "kms:audit: profile debug: register differs")
	var f *fault.Error
	require.ErrorAs(t, wrapped, &f)
	require.Equal(t, "aa", f.Expected)
	require.Equal(t, fault.General, fault.CodeOf(fault.At("x", errors.New("y"))))
	require.NoError(t, fault.At("x", nil))
}
