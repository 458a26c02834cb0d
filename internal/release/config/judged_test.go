package config_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// judgedOnce is what the guards of a release judged.
var judgedOnce = map[string]string{"MERO_KMS_VERSION": "1.0.0", "MERO_TEE_VERSION": "1.1.0",
	"MERO_KMS_PROFILE": "debug", "GHCR_REGISTRY": "ghcr.io/acme",
	"COMPATIBILITY_CATALOG_PATH": "catalog/compatibility-catalog.json"}

func TestAdopt(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		now  map[string]string
		says []string
	}{
		"nothing moved": {judgedOnce, nil},
		"two versions": {map[string]string{"MERO_KMS_VERSION": "2.0.0", "MERO_TEE_VERSION": "1.1.0",
			"MERO_KMS_PROFILE": "debug", "GHCR_REGISTRY": "ghcr.io/acme"},
			[]string{`MERO_KMS_VERSION is "2.0.0" here, and was "1.0.0" when it was judged: "1.0.0" counts for this release`}},
		"one was removed, one is no version": {map[string]string{"MERO_TEE_VERSION": "v2", "MERO_KMS_PROFILE": "debug",
			"GHCR_REGISTRY": "ghcr.io/acme"},
			[]string{`MERO_KMS_VERSION is not set here, and was "1.0.0" when it was judged: "1.0.0" counts for this release`,
				`MERO_TEE_VERSION is not valid here, and was "1.1.0" when it was judged: "1.1.0" counts for this release`}},
		"one was set": {map[string]string{"MERO_KMS_VERSION": "1.0.0", "MERO_TEE_VERSION": "1.1.0",
			"MERO_KMS_PROFILE": "debug", "GHCR_REGISTRY": "ghcr.io/acme", "COMPATIBILITY_CATALOG_PATH": "mine.json"},
			[]string{`COMPATIBILITY_CATALOG_PATH is "mine.json" here, and was "catalog/compatibility-catalog.json" when ` +
				`it was judged: "catalog/compatibility-catalog.json" counts for this release`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, entries := config.Inspect(from(tc.now))
			moved, err := c.Adopt(judgedOnce, entries)
			require.NoError(t, err)
			var says []string
			for _, m := range moved {
				says = append(says, m.String())
			}
			require.Equal(t, tc.says, says)
			require.NoError(t, config.Fault(entries), "what is judged is valid, whatever the variable is by now")
			require.Equal(t, release.Version{Major: 1}, c.KMSVersion)
			require.Equal(t, release.Debug, c.Profile)
			require.Equal(t, "catalog/compatibility-catalog.json", c.CatalogPath)
			for name, value := range judgedOnce {
				require.Equal(t, value, c.Judged()[name])
			}
		})
	}
}

// What was not judged counts as it is: where something is tried is mended between two attempts.
func TestAdoptOnlyWhatIsJudged(t *testing.T) {
	t.Parallel()
	c, entries := config.Inspect(from(map[string]string{"GCP_ZONE": "europe-west4-b", "GHCR_TOKEN": "hunter2",
		"PHALA_DSTACK_URL": "https://new.example"}))
	moved, err := c.Adopt(config.Judged{"GCP_ZONE": "us-central1-a", "GHCR_TOKEN": "other", "policies": "sha256:00",
		"PHALA_DSTACK_URL": "https://old.example", "MERO_ENVIRONMENT": config.Production}, entries)
	require.NoError(t, err)
	require.Empty(t, moved)
	require.Equal(t, "europe-west4-b", c.GCPZone)
	require.Equal(t, "https://new.example", c.DstackURL)
	require.Equal(t, "hunter2", c.RegistryToken.Reveal())
	require.Equal(t, config.Rehearsal, c.Environment)
}

func TestAdoptRefusesWhatNobodyCouldHaveJudged(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{"MERO_KMS_VERSION": "latest", "MERO_KMS_PROFILE": "open",
		"COMPATIBILITY_CATALOG_PATH": "../../etc/passwd.json", "GHCR_REGISTRY": "https://ghcr.io"} {
		c, entries := config.Inspect(from(nil))
		_, err := c.Adopt(config.Judged{name: value}, entries)
		require.Equal(t, fault.Verification, fault.CodeOf(err), name)
	}
}

func TestJudgedVariables(t *testing.T) {
	t.Parallel()
	var judged []string
	for _, v := range config.Variables() {
		if v.IsJudged() {
			judged = append(judged, v.Name)
			require.Equal(t, config.KindVariable, v.Kind, "a secret would lie in the ledger")
			require.False(t, v.Secret)
		}
	}
	require.Equal(t, []string{"MERO_KMS_VERSION", "MERO_KMS_PROFILE", "MERO_TEE_VERSION", "GCP_PROJECT_ID",
		"GCP_IMAGE_FAMILY", "GHCR_REGISTRY", "COMPATIBILITY_CATALOG_PATH"}, judged)
}
