package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/guard"
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

func TestDocsFiresForEveryReleaseRelatedPath(t *testing.T) {
	t.Parallel()
	for file, page := range map[string]string{
		"attestation-policy-debug.json": "docs/policies.md", "dist/x/attestation-policy-locked-read-only.json": "docs/policies.md",
		"policies/debug.json": "docs/policies.md", "policies/attestation-policy.schema.json": "docs/policies.md",
		"published-mrtds.json": "docs/measurements.md", "docker/mero-kms/published-mrtds.json": "docs/measurements.md",
		"catalog/compatibility-catalog.json": "docs/catalog.md", "scripts/release-kms.sh": "docs/commands.md",
		"scripts/build-kms-image.sh": "docs/commands.md", "magefiles/release.go": "docs/commands.md",
		"docs/examples/attestation-policy-debug.json": "docs/policies.md",
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r := guard.Docs([]string{"internal/x.go", file})
			require.Equal(t, fault.Verification, fault.CodeOf(r.Err()))
			require.Contains(t, r.Got, file)
			require.NotContains(t, r.Got, "internal/x.go")
			require.Contains(t, r.Hint, page)
			for _, doc := range []string{"docs/policies.md", "README.md", "CHANGELOG.md", "docs/releases/1.2.0.md"} {
				require.Equal(t, check.Passed, guard.Docs([]string{file, doc}).Status, doc)
			}
			require.False(t, guard.Docs([]string{file, "tools/README.md", "internal/docs/x.md"}).OK(), "pages elsewhere are no documentation of the release")
		})
	}
	require.Equal(t, check.NotApplicable("guard 1: docs", "no release-related file changed"), guard.Docs([]string{"internal/kms/kms.go", "policies/policy.go"}))
}

func TestSelfTest(t *testing.T) {
	t.Parallel()
	results := guard.SelfTest()
	require.NoError(t, results.Err())
	require.Len(t, results, 13)
	require.Equal(t, len(results), results.Count(check.Passed))
}
