package steps_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// entry is a line of a ledger about a step.
func entry(tag, step, event, version string) string {
	return `{"time":"2026-11-26T12:00:00Z","tag":"` + tag + `","commit":"` + commit + `","step":"` + step +
		`","event":"` + event + `","inputs":{"MERO_KMS_VERSION":"` + version + `","policies":"sha256:00"}}` + "\n"
}

// The verdict on variables is there once the guards have passed for this tag, and as long as they have.
func TestVerdictOnVariables(t *testing.T) {
	t.Parallel()
	const kms, other = "mero-kms-v1.0.0", "mero-kms-v2.0.0"
	passed := entry(kms, "kms:version", "intent", "1.0.0") + entry(kms, "kms:version", "passed", "1.0.0")
	for name, tc := range map[string]struct {
		ledger string
		want   string // MERO_KMS_VERSION; empty: nothing was judged
	}{
		"passed":            {passed, "1.0.0"},
		"and what followed": {passed + entry(kms, "kms:build", "failed", "9.0.0"), "1.0.0"},
		"an effect of it": {passed + strings.Replace(entry(kms, "kms:version", "intent", "9.0.0"), `"event"`,
			`"kind":"push","subject":"x","event"`, 1), "1.0.0"},
		"judged once more":      {passed + strings.ReplaceAll(passed, "1.0.0\",\"pol", "3.0.0\",\"pol"), "3.0.0"},
		"no ledger":             {"", ""},
		"begun":                 {entry(kms, "kms:version", "intent", "1.0.0"), ""},
		"refused":               {entry(kms, "kms:version", "failed", "1.0.0"), ""},
		"refused since":         {passed + entry(kms, "kms:version", "failed", "2.0.0"), ""},
		"begun again":           {passed + entry(kms, "kms:version", "intent", "2.0.0"), ""},
		"another tag's":         {strings.ReplaceAll(passed, kms, other), ""},
		"another family's":      {strings.ReplaceAll(passed, "kms:version", "node:version"), ""},
		"a last line cut short": {passed + `{"time":`, "1.0.0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			if tc.ledger != "" {
				require.NoError(t, os.WriteFile(filepath.Join(dir, pipeline.LedgerName), []byte(tc.ledger), 0o600))
			}
			tag, err := release.ParseTag(kms)
			require.NoError(t, err)
			judged, err := steps.Judged(dir, tag)
			require.NoError(t, err)
			require.Equal(t, tc.want, judged["MERO_KMS_VERSION"])
			require.Equal(t, tc.want == "", judged == nil)
		})
	}
}

// A ledger that cannot be read is no ledger without a verdict.
func TestJudgedByAnUnreadableLedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, pipeline.LedgerName), []byte("hello\n"), 0o600))
	_, err := steps.Judged(dir, release.Tag{Family: release.KMS, Version: release.Version{Major: 1}})
	require.Equal(t, fault.General, fault.CodeOf(err))
}

// What GuardInputs records is what Judged gives back.
func TestWhatIsRecordedIsWhatIsJudged(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-kms-v1.0.0")
	require.NoError(t, os.MkdirAll(w.Checkout.Policies, 0o755))
	in, err := w.GuardInputs(t.Context())
	require.NoError(t, err)
	for name, value := range w.Env.Config.Judged() {
		require.Equal(t, value, in[name])
	}
	c, entries := config.Inspect(func(string) (string, bool) { return "", false })
	_, err = c.Adopt(config.Judged(in), entries)
	require.NoError(t, err)
	require.Equal(t, w.Env.Config.Judged(), c.Judged())
}
