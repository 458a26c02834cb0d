package steps_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// untested is a folder of policies in which a node release was promoted without E2E.
func untested(t *testing.T, why string) string {
	t.Helper()
	dir := t.TempDir()
	for i, p := range release.Profiles() {
		w := &policies.Working{SchemaVersion: policies.SchemaVersion, Profile: p, AllowedTCBStatus: []string{"UpToDate"},
			Measurements: []policies.Measurement{}, Revoked: []policies.Revocation{}}
		ev := policies.Evidence{Tag: release.Tag{Family: release.Node, Version: release.Version{Major: 1}},
			Digest: "sha256:" + strings.Repeat("1", 64), Registers: map[release.Profile]tdx.Registers{p: {
				MRTD: tdx.Register{1}, RTMR0: tdx.Register{2}, RTMR1: tdx.Register{3}, RTMR2: tdx.Register{byte(4 + i)},
				RTMR3: tdx.ProfileRTMR3(string(p))}}}
		var err error
		if why == "" {
			w, err = policies.Promote(w, ev)
		} else {
			w, err = policies.PromoteUntested(w, ev, why)
		}
		require.NoError(t, err)
		data, err := w.Encode()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, policies.File(p)), data, 0o600))
	}
	return dir
}

// A promotion without E2E is in the plan and in the notes of the key service that it concerns.
func TestAPromotionWithoutE2EIsShown(t *testing.T) {
	t.Parallel()
	const why = "no TDX before Friday"
	host := filepath.Join("..", "..", "..", tcb.HostFile)
	for name, tc := range map[string]struct {
		family release.Family
		why    string
		lines  int
	}{
		"a key service":          {release.KMS, why, 3},
		"a node, with no policy": {release.Node, why, 0},
		"what was tested":        {release.KMS, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &plan.Plan{Subject: plan.Subject{Tag: release.Tag{Family: tc.family, Version: release.Version{Major: 1}}}}
			require.NoError(t, steps.Waive(p, untested(t, tc.why), host))
			require.Len(t, p.Untested, tc.lines)
			var b bytes.Buffer
			require.NoError(t, p.WriteRules(&b))
			text := notes.Generate(notes.Input{Tag: p.Tag, Untested: p.Untested})
			if tc.lines == 0 {
				require.NotContains(t, b.String()+text, "without E2E")
				return
			}
			require.Equal(t, "mero-tee-v1.0.0 in policies/debug.json: "+why, p.Untested[0])
			require.Contains(t, b.String(), "Promoted without E2E\n  "+p.Untested[0])
			require.Contains(t, text, "## Promoted without E2E\n")
			require.Contains(t, text, why)
		})
	}
}
