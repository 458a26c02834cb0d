package doctor_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/cli/doctor"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// A job is asked for what its own steps use. What others use it need not have.
func TestWhatAJobIsAsked(t *testing.T) {
	t.Parallel()
	for steps, want := range map[string]string{
		"kms:version,kms:build": "GitHub token, environment release-auditor, rules of main, registry push, " +
			"Sigstore's TUF repository, trusted root, the key service's trusted root, go",
		"node:version": "GitHub token, environment release-auditor, rules of main, " +
			"Sigstore's TUF repository, trusted root, go",
		"node:build,node:measure": "VMs on this machine, Google Cloud permissions, base image, Intel Trust Authority, " +
			"Sigstore's TUF repository, trusted root, go",
		"kms:sign,kms:publish,kms:e2e": "GitHub token, VMs on this machine, Google Cloud permissions, " +
			"Intel Trust Authority, dstack provider, OS image of dstack, " +
			"signing identity, Sigstore's TUF repository, trusted root, go",
		"node:promote": "GitHub token, environment release-auditor, rules of main, " +
			"Sigstore's TUF repository, trusted root, go",
		"node:checksums,node:mrtds,x:y": "Sigstore's TUF repository, trusted root, go",
	} {
		w := newWorld(t, nil)
		var names []string
		for _, r := range doctor.Examine(t.Context(), w.env, doctor.Job(strings.Split(steps, ",")...)) {
			name, _, _ := strings.Cut(r.Name, ":")
			if strings.HasPrefix(name, "go ") {
				names = append(names, "go")
				break
			}
			names = append(names, name)
		}
		require.Equal(t, want, strings.Join(names, ", "), steps)
	}
}

// Variables of the repository are the whole release's; a secret is missing where a step reads it.
func TestWhatAJobMayLack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		unset, steps string
		want         string // of the failure, "" for none
	}{
		"a secret of another job": {"PHALA_CLOUD_API_KEY", "kms:version,kms:build", ""},
		"a secret of its own":     {"GHCR_TOKEN", "kms:version,kms:build", "GHCR_TOKEN is not set: kms:build will stop"},
		"a secret of one of its own": {"PHALA_CLOUD_API_KEY", "node:e2e",
			"PHALA_CLOUD_API_KEY is not set: node:e2e will stop"},
		"a variable for a later step": {"GCP_ZONE", "kms:build", "GCP_ZONE is not set: kms:e2e will stop"},
		"a variable with a default":   {"PHALA_DSTACK_URL", "kms:e2e", ""},
		"a variable of nobody here":   {"GCP_IMAGE_FAMILY", "kms:build", ""},
	} {
		vars := map[string]string{"MERO_ENVIRONMENT": "production", "GCP_PROJECT_ID": "mero-tests",
			"GCP_ZONE":         "us-central1-a",
			"MERO_KMS_VERSION": "1.2.0", "MERO_TEE_VERSION": "1.2.0", "PHALA_DSTACK_URL": "https://x.example",
			"PHALA_CLOUD_API_KEY": "k", "GHCR_TOKEN": "k", "GOOGLE_APPLICATION_CREDENTIALS": "/c.json"}
		delete(vars, tc.unset)
		cfg, entries := config.Inspect(variables(vars))
		results := doctor.Configured(cfg, entries, doctor.Job(strings.Split(tc.steps, ",")...))
		if tc.want == "" {
			require.Zero(t, results.Count(check.Failed), name)
			continue
		}
		require.Len(t, results, 1, name)
		require.Equal(t, tc.want, results[0].Reason, name)
	}
}

// What a job's own token may do is the workflow's to say, and no finding.
func TestAJobsOwnTokenInItsJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.env.GitHubToken, w.env.Config.Actions = "ghs_0123456789secret", true
	w.scoped("", false)
	said, results := w.ask(t, "GitHub", "mero-kms")
	require.Zero(t, failures(results), said)
	require.Equal(t, "[PASS] GitHub token: the job's own, with what the workflow permits\n", said)
}
