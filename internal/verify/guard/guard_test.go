package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

func TestVersion(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tag, variable string
		code          fault.Code
		reason        string
	}{
		"kms agrees":          {"mero-kms-v1.2.0", "1.2.0", fault.Success, ""},
		"node agrees":         {"mero-tee-v1.2.0-rc.3", "1.2.0-rc.3", fault.Success, ""},
		"spec's kms example":  {"mero-kms-v1.3.0", "1.2.0", fault.Verification, "MERO_KMS_VERSION disagrees"},
		"spec's node example": {"mero-tee-v2.0.0", "1.9.0", fault.Verification, "MERO_TEE_VERSION disagrees"},
		"candidate of it":     {"mero-kms-v1.2.0-rc.1", "1.2.0", fault.Verification, "disagrees"},
		"leading v":           {"mero-kms-v1.2.0", "v1.2.0", fault.Verification, "disagrees"},
		"unset":               {"mero-kms-v1.2.0", "", fault.Verification, "MERO_KMS_VERSION is not set"},
		"malformed tag":       {"mero-kms-1.2.0", "1.2.0", fault.Usage, "not a release tag"},
		"empty tag":           {"", "", fault.Usage, "not a release tag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := guard.Version(tc.tag, tc.variable)
			require.Equal(t, tc.code, fault.CodeOf(r.Err()))
			require.Contains(t, r.Reason, tc.reason)
			if tc.code != fault.Success {
				require.NotEmpty(t, r.Expected)
				require.NotEmpty(t, r.Got)
			}
		})
	}
}

func TestSelfTest(t *testing.T) {
	t.Parallel()
	results := check.Fire(guard.Drills())
	require.NoError(t, results.Err())
	require.Len(t, results, 78)
	require.Equal(t, len(results), results.Count(check.Passed))
}
