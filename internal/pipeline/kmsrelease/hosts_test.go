package kmsrelease_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// The key service's host falls behind while its release is made: early, nothing
// is to be said against it; when it counts, the stable release stops before its
// promotion and says whose list refuses and how to waive.
func TestHostFallsBehind(t *testing.T) {
	t.Parallel()
	releasetest.Long(t, "two end-to-end tests of a release")
	s := fixture.Stages(t)
	for name, tc := range map[string]struct {
		change func(*tdxsim.Family)
		code   fault.Code
	}{
		"early": {func(f *tdxsim.Family) { f.Early.Platform = tdx.OutOfDate }, fault.Success},
		"today": {func(f *tdxsim.Family) { f.Standard.Platform, f.Early.Platform = tdx.OutOfDate, tdx.OutOfDate },
			fault.Verification},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := fixture.Opened(t, s.Root, releasetest.From(t, s.After("kms:catalog")), stable)
			world, ok := p.World.(*rehearsal.World)
			require.True(t, ok)
			world.Recover(tc.change)
			err := p.Run.PerformTarget(t.Context(), "kms:e2e", "")
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			if tc.code == fault.Success {
				return
			}
			require.Contains(t, p.Log.String(), "the TCB status of the key service's host is not accepted")
			require.Contains(t, p.Log.String(), "Expected: UpToDate, by docker/mero-kms/host-tcb.json")
			require.Contains(t, p.Log.String(), "Got:      OutOfDate (INTEL-SA-00001), FMSPC 53494d000001")
			require.Contains(t, p.Log.String(), "waive it in docker/mero-kms/host-tcb.json by a pull request")
			require.Error(t, p.Run.PerformTarget(t.Context(), "kms:promote", ""), "nothing is promoted past it")
		})
	}
}
