package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
)

// "Could not look" is never "bad": a stranger's page tells the two apart, and neither is "believed".
func TestVerdictOfAStranger(t *testing.T) {
	t.Parallel()
	unseen := check.Unseen("today's TCB", "no network", "ask again")
	wrong := check.Fail("checksum", fault.Verification, "other bytes", "a", "b")
	for want, results := range map[report.State][]check.Results{
		report.Believed:  {{check.Pass("x")}, {check.Pass("x"), check.NotApplicable("y", "offline")}},
		report.Undecided: {{check.Pass("x"), unseen}, check.Results{check.Pass("x"), unseen}.Strict()},
		report.Refused: {{check.Pass("x"), wrong}, {wrong, unseen}, {unseen, wrong}, check.Results{unseen, wrong}.Strict(),
			{check.Fail("asset", fault.MissingAsset, "missing", "a", "nothing")}, {}},
	} {
		for _, r := range results {
			require.Equal(t, want, verdict(r).State, "%v", r)
		}
	}
}
