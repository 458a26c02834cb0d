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

func TestDocsFiresForEveryReleaseRelatedPath(t *testing.T) {
	t.Parallel()
	const policies, measurements, catalog, commands = "docs/policies.md", "docs/measurements.md", "docs/catalog.md",
		"docs/commands.md"
	pages := []string{policies, measurements, catalog, commands, "docs/releasing.md", "README.md", "CHANGELOG.md",
		"docs/releases/README.md",
		"docs/releases/templates/stable.md", "docs/releases/templates.go", "docs/releases/x/mero-kms-v1.2.0.md",
		"tools/docs/policies.md"}
	for file, page := range map[string]string{
		"attestation-policy-debug.json": policies, "dist/x/attestation-policy-locked-read-only.json": policies,
		"policies/debug.json": policies, "policies/attestation-policy.schema.json": policies,
		"docs/examples/attestation-policy-debug.json": policies, "docker/mero-kms/host-tcb.json": policies,
		"published-mrtds.json": measurements, "docker/mero-kms/published-mrtds.json": measurements,
		"docker/mero-kms/dstack-platforms.json": measurements,
		"packer/node.pkr.hcl":                   measurements, "packer/packer-plugin-nodeimage/verity.go": measurements,
		"ansible/playbook.yml":                                measurements,
		"ansible/roles/agent/files/mero-agent/main.go":        measurements,
		"ansible/roles/agent/templates/mero-agent.service.j2": measurements,
		"catalog/compatibility-catalog.json":                  catalog, "compatibility-catalog.json": catalog,
		"catalog/compatibility-catalog.schema.json": catalog,
		"scripts/release-kms.sh":                    commands, "scripts/build-kms-image.sh": commands,
		"magefiles/release.go": commands,
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			r := guard.Docs([]string{"internal/x.go", file})
			require.Equal(t, fault.Verification, fault.CodeOf(r.Err()))
			require.Contains(t, r.Got, file)
			require.NotContains(t, r.Got, "internal/x.go")
			require.Contains(t, r.Expected, page)
			require.Contains(t, r.Hint, page)
			for _, other := range pages {
				require.Equal(t, other == page, guard.Docs([]string{file, other}).OK(), other)
			}
			require.Equal(t, page != commands, guard.Docs([]string{file, "docs/releases/mero-kms-v1.2.0.md"}).OK())
		})
	}
}

func TestDocsWantsEveryPage(t *testing.T) {
	t.Parallel()
	changed := []string{"policies/debug.json", "catalog/compatibility-catalog.json", "scripts/build-kms-image.sh",
		"docs/policies.md"}
	r := guard.Docs(changed)
	require.False(t, r.OK())
	require.Contains(t, r.Expected, "docs/catalog.md")
	require.Contains(t, r.Expected, "docs/commands.md")
	require.NotContains(t, r.Expected, "docs/policies.md")
	require.NotContains(t, r.Got, "policies/debug.json")
	require.Equal(t, check.Passed, guard.Docs(append(changed, "docs/catalog.md", "docs/commands.md")).Status)
}

func TestDocsIgnoresWhatReleasesNothing(t *testing.T) {
	t.Parallel()
	require.Equal(t, check.NotApplicable("guard 1: docs", "no release-related file changed"),
		guard.Docs([]string{"internal/kms/kms.go", "policies/policy.go", "ansible/README.md",
			"ansible/roles/agent/files/mero-agent/main_test.go", "packer/packer-plugin-nodeimage/testdata/x.json",
			"scripts/README.md"}))
}

func TestSelfTest(t *testing.T) {
	t.Parallel()
	results := check.Fire(guard.Drills())
	require.NoError(t, results.Err())
	require.Len(t, results, 53)
	require.Equal(t, len(results), results.Count(check.Passed))
}
