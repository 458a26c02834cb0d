package audit_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

// A node release signed by the right workflow, that says something untrue of
// itself: each way has the check that objects.
func TestNodeReleaseThatLies(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		asset string
		edit  func(string) string
		want  string // the check
	}{
		"a record of another version": {release.RecordAsset(release.Debug), func(s string) string {
			return strings.Replace(s, `"version": "1.1.0"`, `"version": "1.1.1"`, 1)
		}, "image record of debug"},
		"a package that the SBOM hides": {release.SBOMAsset, func(s string) string {
			return strings.Replace(s, `"name":"simulated-base"`, `"name":"other"`, 1)
		}, "SBOM lists the packages of debug"},
		"a record of another UKI": {release.RecordAsset(release.LockedReadOnly), func(s string) string {
			return authenticode.ReplaceAllStringFunc(s, func(event string) string {
				at := len(event) - 1
				return event[:at] + flipped(event[at:])
			})
		}, "boots of locked-read-only"},
		"a record with another command line": {release.RecordAsset(release.LockedReadOnly), func(s string) string {
			return strings.Replace(s, "panic=5", "panic=6", 1)
		}, "image record of locked-read-only"},
		"a record that does not add up": {release.RecordAsset(release.DebugReadOnly), func(s string) string {
			return strings.Replace(s, `"simulated-base"`, `"simulated-basf"`, 1)
		}, "image record of debug-read-only"},
		"evidence of another image": {release.EvidenceAsset(release.Debug), func(s string) string {
			return strings.Replace(s, "mero-tee-debug-", "mero-tee-debuh-", 1)
		}, "boots of debug"},
		"evidence of other collateral": {release.EvidenceAsset(release.Debug), func(s string) string {
			at := strings.Index(s, `"collateral": "sha256:`) + len(`"collateral": "sha256:`)
			return s[:at] + flipped(s[at:at+1]) + s[at+1:]
		}, "boots of debug"},
		"a published register of no boot": {release.MeasurementsAsset, func(s string) string {
			at := strings.Index(s, `"rtmr1": "`) + len(`"rtmr1": "`)
			return s[:at] + flipped(s[at:at+1]) + s[at+1:]
		}, "boots of debug"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := made(t, node, func(asset, content string) string {
				if asset != tc.asset {
					return content
				}
				changed := tc.edit(content)
				require.NotEqual(t, content, changed)
				return changed
			})
			report := judge(t, dir, audit.Subject{Tag: node, Commit: commit})
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
			require.Contains(t, failed(report.Results), tc.want)
		})
	}
}

// What Intel's service says of a platform changes after a release; the release does not.
func TestBootsOfAPlatformThatFellBehind(t *testing.T) {
	t.Parallel()
	h, err := nodes()
	require.NoError(t, err)
	dir := made(t, node, nil)
	for name, tc := range map[string]struct {
		change func(*tdxsim.Faults)
		code   fault.Code
		words  string
	}{
		"out of date today": {func(f *tdxsim.Faults) { f.Platform = tdx.OutOfDate }, fault.Success,
			"today the TCB of boot 1 is OutOfDate (INTEL-SA-00001), on the day of the measurement it was UpToDate"},
		"no level any more": {func(f *tdxsim.Faults) { f.NoLevel, f.EvaluationNumber = "platform", 20 }, fault.General,
			"the node's quote cannot be judged"},
		"revoked": {func(f *tdxsim.Faults) { f.Platform = tdx.Revoked }, fault.Verification, "tcb_status is Revoked"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, dir, audit.Subject{Tag: node, Commit: commit, Verifier: h.recovered(t, tc.change)})
			require.Equal(t, tc.code, fault.CodeOf(report.Results.Err()))
			boots := 0
			for _, r := range report.Results {
				if !strings.HasPrefix(r.Name, "boots of ") {
					continue
				}
				boots++
				require.Contains(t, r.Reason, tc.words)
				require.NotContains(t, r.Reason, "genuine")
				if tc.code == fault.General {
					require.Contains(t, r.Got, "none in Intel's collateral of evaluation number 20")
					require.Contains(t, r.Hint, "no byte of the release changed")
				}
			}
			require.Equal(t, 3, boots)
		})
	}
}

// authenticode is the event of the UKI in a record, up to the last digit of its digest.
var authenticode = regexp.MustCompile(`"UKI, Authenticode",\s*"digest": "[0-9a-f]{96}`)

func flipped(digit string) string {
	if digit == "0" {
		return "1"
	}
	return "0"
}

// "A stable release refuses skipped", whoever calls the one verifier; a quick check is asked for.
func TestWhatIsNotLookedAtInAStableRelease(t *testing.T) {
	t.Parallel()
	require.True(t, node.Stable())
	dir := made(t, node, nil)
	s := audit.Subject{Tag: node, Commit: commit, Repository: repository, Trust: trust(t, local), TDXRoot: tdxRoot}
	report, err := audit.Release(t.Context(), audit.Folder{Dir: dir}, t.TempDir(), s) // without a verifier of quotes
	require.NoError(t, err)
	require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
	require.Contains(t, failed(report.Results), "boots of debug")
	for _, r := range report.Results {
		require.NotEqual(t, check.Skipped, r.Status, r.Name)
	}
	s.Quick = true
	report, err = audit.Release(t.Context(), audit.Folder{Dir: dir}, t.TempDir(), s)
	require.NoError(t, err)
	require.NoError(t, report.Results.Err())
	require.Positive(t, report.Results.Count(check.Skipped))
}
