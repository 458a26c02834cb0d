package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// judgedLedger is that of a release whose guards have passed.
const judgedLedger = `{"time":"2026-11-26T12:00:00Z","tag":"mero-kms-v1.0.0","commit":"c","step":"kms:version",` +
	`"event":"passed","inputs":{"MERO_KMS_VERSION":"1.0.0","MERO_TEE_VERSION":"1.1.0"}}` + "\n"

// Not parallel: it changes the environment of the process.
func TestVariablesOfAReleaseUnderWay(t *testing.T) {
	dist := t.TempDir()
	judged := filepath.Join(dist, "mero-kms-v1.0.0")
	require.NoError(t, os.Mkdir(judged, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(judged, pipeline.LedgerName), []byte(judgedLedger), 0o600))
	for name, tc := range map[string]struct {
		vars map[string]string
		tag  string
		jobs []string
		node string // MERO_TEE_VERSION; empty: refused
		says string
	}{
		"as they were": {map[string]string{"MERO_KMS_VERSION": "1.0.0", "MERO_TEE_VERSION": "1.1.0"}, "mero-kms-v1.0.0", nil,
			"1.1.0", ""},
		"one moved": {map[string]string{"MERO_KMS_VERSION": "1.0.0", "MERO_TEE_VERSION": "2.0.0"}, "mero-kms-v1.0.0", nil,
			"1.1.0", `[WARN] MERO_TEE_VERSION is "2.0.0" here, and was "1.1.0" when it was judged`},
		"one is none now": {map[string]string{"MERO_KMS_VERSION": "1.0.0", "MERO_TEE_VERSION": "latest"}, "mero-kms-v1.0.0",
			nil, "1.1.0", "[WARN] MERO_TEE_VERSION is not valid here"},
		"an environment's, which this job does not see": {map[string]string{"MERO_KMS_VERSION": "1.0.0"}, "mero-kms-v1.0.0",
			nil, "1.1.0", "set it for the repository"},
		"another tag's": {map[string]string{"MERO_KMS_VERSION": "2.0.0", "MERO_TEE_VERSION": "2.0.0"}, "mero-kms-v2.0.0", nil,
			"2.0.0", ""},
		"another tag's, and none": {map[string]string{"MERO_TEE_VERSION": "latest"}, "mero-kms-v2.0.0", nil, "", ""},
		"what was never judged": {map[string]string{"MERO_TEE_VERSION": "1.1.0", "GCP_ZONE": "moon"}, "mero-kms-v1.0.0", nil,
			"", ""},
		"in a job's folder": {map[string]string{"MERO_TEE_VERSION": "2.0.0", "MERO_DIST": t.TempDir()}, "mero-kms-v1.0.0",
			[]string{judged}, "1.1.0", `[WARN] MERO_TEE_VERSION is "2.0.0" here`},
		"not yet, with no ledger": {map[string]string{"MERO_TEE_VERSION": "2.0.0", "MERO_DIST": t.TempDir()},
			"mero-kms-v1.0.0", nil, "2.0.0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			for _, v := range config.Variables() {
				t.Setenv(v.Name, tc.vars[v.Name])
			}
			t.Setenv("GITHUB_ACTIONS", "true")
			t.Setenv("MERO_ENVIRONMENT", config.Production)
			t.Setenv("GITHUB_REF_NAME", tc.tag)
			t.Setenv("MERO_DIST", dist)
			if own := tc.vars["MERO_DIST"]; own != "" {
				t.Setenv("MERO_DIST", own)
			}
			w, _, err := openWorkspace(release.KMS, "", tc.jobs...)
			if tc.node == "" {
				require.Equal(t, fault.Usage, fault.CodeOf(err))
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.node, w.cfg.TEEVersion.String())
			var out bytes.Buffer
			w.tellMoved(console.New(&out, false))
			require.Contains(t, out.String(), tc.says)
			require.Equal(t, tc.says == "", out.Len() == 0, out.String())
		})
	}
}

// The doctor looks at what the steps will take.
func TestTheDoctorLooksAtWhatWasJudged(t *testing.T) {
	dist := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(dist, "mero-kms-v1.0.0"), 0o755))
	ledger := filepath.Join(dist, "mero-kms-v1.0.0", pipeline.LedgerName)
	for _, v := range config.Variables() {
		t.Setenv(v.Name, "")
	}
	t.Setenv("GITHUB_ACTIONS", "true")
	t.Setenv("MERO_ENVIRONMENT", config.Production)
	t.Setenv("MERO_DIST", dist)
	t.Setenv("GITHUB_REF_NAME", "mero-kms-v1.0.0")
	t.Setenv("MERO_TEE_VERSION", "latest")
	w, err := jobSpace()
	require.NoError(t, err)
	require.Equal(t, fault.Usage, fault.CodeOf(config.Fault(w.entries)), "nothing was judged yet")
	require.NoError(t, os.WriteFile(ledger, []byte(judgedLedger), 0o600))
	w, err = jobSpace()
	require.NoError(t, err)
	require.NoError(t, config.Fault(w.entries))
	require.Equal(t, "1.1.0", w.cfg.TEEVersion.String())
	require.Len(t, w.moved, 2)
	t.Setenv("GITHUB_REF_NAME", "main")
	w, err = jobSpace()
	require.NoError(t, err)
	require.Error(t, config.Fault(w.entries), "a branch has no release under way")
}
