package audit_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
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
		says  string // why; empty: it is plain
	}{
		"a record of another version": {release.RecordAsset(release.Debug), func(s string) string {
			return strings.Replace(s, `"version": "1.1.0"`, `"version": "1.1.1"`, 1)
		}, "image record of debug", ""},
		"a package that the SBOM hides": {release.SBOMAsset, func(s string) string {
			return strings.Replace(s, `"name":"simulated-base"`, `"name":"other"`, 1)
		}, "SBOM lists the packages of debug", ""},
		"a package without its package URL": {release.SBOMAsset, func(s string) string {
			return strings.Replace(s, `"referenceType":"purl"`, `"referenceType":"gitoid"`, 1)
		}, "SBOM lists the packages of debug", "1 of 2 packages are missing, or without their package URL"},
		"a package of another distribution": {release.SBOMAsset, func(s string) string {
			return strings.Replace(s, "distro=simulated-1", "distro=simulated-2", 1)
		}, "SBOM lists the packages of debug", "1 of 2 packages are missing, or without their package URL"},
		"a program that the SBOM hides": {release.SBOMAsset, func(s string) string {
			return strings.Replace(s, `"name":"mero-agent"`, `"name":"other"`, 1)
		}, "SBOM lists the packages of debug", "1 of 2 packages are missing"},
		"an SBOM of another author": {release.SBOMAsset, func(s string) string {
			return strings.Replace(s, `Organization: calimero-network"`, `Organization: stranger"`, 1)
		}, "SBOM", "it is of another author"},
		"an image of another supplier": {release.SBOMAsset, func(s string) string {
			at := strings.Index(s, `"name":"mero-tee","supplier":"Organization: calimero-network"`)
			return s[:at] + strings.Replace(s[at:], "Organization: calimero-network", "Organization: stranger", 1)
		}, "SBOM", "it does not describe the images"},
		"a record of another distribution": {release.RecordAsset(release.Debug), func(s string) string {
			return strings.Replace(s, `VERSION_ID=1\n`, `VERSION_ID=2\n`, 1)
		}, "image record of debug", "says what cannot be"},
		"a record that does not know its distribution": {release.RecordAsset(release.Debug), func(s string) string {
			return strings.Replace(s, `"schema_version": "3"`, `"schema_version": "2"`, 1)
		}, "image record of debug", "version 2, which does not say of which distribution"},
		"a record of another UKI": {release.RecordAsset(release.LockedReadOnly), func(s string) string {
			return authenticode.ReplaceAllStringFunc(s, func(event string) string {
				at := len(event) - 1
				return event[:at] + flipped(event[at:])
			})
		}, "boots of locked-read-only", ""},
		"a record with another command line": {release.RecordAsset(release.LockedReadOnly), func(s string) string {
			return strings.Replace(s, "panic=5", "panic=6", 1)
		}, "image record of locked-read-only", ""},
		"a record that does not add up": {release.RecordAsset(release.DebugReadOnly), func(s string) string {
			return strings.Replace(s, `"simulated-base"`, `"simulated-basf"`, 1)
		}, "image record of debug-read-only", ""},
		"evidence of another image": {release.EvidenceAsset(release.Debug), func(s string) string {
			return strings.Replace(s, "mero-tee-debug-", "mero-tee-debuh-", 1)
		}, "boots of debug", ""},
		"an event log with a forged payload": {release.EvidenceAsset(release.Debug), forgedPayload, "boots of debug",
			"a payload that is not of its digest"},
		"evidence of another TCB status": {release.EvidenceAsset(release.Debug), func(s string) string {
			return strings.Replace(s, `"tcb": "UpToDate"`, `"tcb": "OutOfDate"`, 1)
		}, "boots of debug", "TCB status is another"},
		"evidence without its collateral": {release.EvidenceAsset(release.Debug), func(s string) string {
			return collateral.ReplaceAllString(s, `"collateral": []`)
		}, "boots of debug", "carries no collateral"},
		"evidence of an older version": {release.EvidenceAsset(release.Debug), func(s string) string {
			return strings.Replace(s, `"schema_version": "4"`, `"schema_version": "2"`, 1)
		}, "boots of debug", "evidence of version 2"},
		"evidence of a boot after its signature": {release.EvidenceAsset(release.Debug), func(s string) string {
			at := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
			return bootTime.ReplaceAllString(s, `"time": "`+at+`"`)
		}, "boots of debug", "later time than the signature"},
		"other collateral than was published": {release.MeasurementsAsset, func(s string) string {
			at := strings.Index(s, `"collateral": "sha256:`) + len(`"collateral": "sha256:`)
			return s[:at] + flipped(s[at:at+1]) + s[at+1:]
		}, "boots of debug", "do not show what is published"},
		"a published register of no boot": {release.MeasurementsAsset, func(s string) string {
			at := strings.Index(s, `"rtmr1": "`) + len(`"rtmr1": "`)
			return s[:at] + flipped(s[at:at+1]) + s[at+1:]
		}, "boots of debug", ""},
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
			for _, r := range report.Results {
				if r.Name == tc.want {
					require.Contains(t, r.Reason, tc.says)
				}
			}
		})
	}
}

// The boots are proven as of their time, whatever Intel says today, which is a line of its own.
func TestBootsOfAPlatformThatFellBehind(t *testing.T) {
	t.Parallel()
	h, err := nodes()
	require.NoError(t, err)
	dir := made(t, node, nil)
	issued := time.Now().Add(-time.Hour).UTC().Format(time.DateOnly)
	for name, tc := range map[string]struct {
		change func(*tdxsim.Faults)
		code   fault.Code
		status check.Status
		words  string
	}{
		"as it was": {func(*tdxsim.Faults) {}, fault.Success, check.Passed, "UpToDate, as it was then"},
		"out of date today": {func(f *tdxsim.Faults) { f.Platform = tdx.OutOfDate }, fault.Success, check.Passed,
			"UpToDate then; OutOfDate since " + issued + " at the latest (INTEL-SA-00001)"},
		"no level any more": {func(f *tdxsim.Faults) { f.NoLevel, f.EvaluationNumber = "platform", 20 }, fault.Success,
			check.Passed, "UpToDate then; no level any more in Intel's collateral of " + issued + " (evaluation number 20)"},
		"status revoked": {func(f *tdxsim.Faults) { f.Platform = tdx.Revoked }, fault.Verification, check.Failed,
			"UpToDate then; Revoked by now"},
		"PCK revoked": {func(f *tdxsim.Faults) { f.RevokePCK = true }, fault.Verification, check.Failed,
			"UpToDate then; a certificate under its quotes is revoked by now"},
		"not to be asked": {func(f *tdxsim.Faults) { f.Busy, f.RetryAfter = true, "0" }, fault.General, check.Failed,
			"UpToDate then; what Intel says today cannot be had: "},
		"another enclave is Intel's": {func(f *tdxsim.Faults) { f.NoLevel = "enclave" }, fault.Success, check.Passed,
			"no level any more"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, dir, audit.Subject{Tag: node, Commit: commit, Verifier: h.recovered(t, tc.change)})
			require.Equal(t, tc.code, fault.CodeOf(report.Results.Err()))
			requireToday(t, report, tc.status, tc.words)
		})
	}
}

// requireToday demands one line for each profile, beside boots that pass; nothing is called forged.
func requireToday(t *testing.T, report *audit.Report, status check.Status, words string) {
	t.Helper()
	boots, today := 0, 0
	for _, r := range report.Results {
		require.NotContains(t, r.Reason+r.Got, "genuine")
		switch {
		case strings.HasPrefix(r.Name, "boots of "):
			boots++
			require.Equal(t, check.Passed, r.Status)
			require.Equal(t, "TCB UpToDate on "+time.Now().UTC().Format(time.DateOnly), r.Reason)
		case strings.HasPrefix(r.Name, "today's TCB of "):
			today++
			require.Equal(t, status, r.Status)
			require.Contains(t, r.Reason, words)
		}
	}
	require.Equal(t, [2]int{3, 3}, [2]int{boots, today})
}

// Years later the certificates of the machines have ended, and the boots are what they were.
func TestBootsWhoseCertificatesHaveEnded(t *testing.T) {
	t.Parallel()
	h, err := nodes()
	require.NoError(t, err)
	later := h.verifier.AsOf(time.Now().AddDate(100, 0, 0), h.keeper)
	report := judge(t, made(t, node, nil), audit.Subject{Tag: node, Commit: commit, Verifier: later})
	require.NoError(t, report.Results.Err())
	requireToday(t, report, check.Passed, "has ended on ")
}

// Without a network the boots are proven as of their time, and nobody is asked about today.
func TestBootsOffline(t *testing.T) {
	t.Parallel()
	report := judge(t, made(t, node, nil), audit.Subject{Tag: node, Commit: commit, Offline: true})
	require.NoError(t, report.Results.Err())
	requireToday(t, report, check.Inapplicable, "Intel was not asked")
}

// endorsing changes what the evidence says of Google's endorsement.
func endorsing(t *testing.T, change func(h *hardware, e *evidence.Evidence)) func(string) string {
	t.Helper()
	h, err := nodes()
	require.NoError(t, err)
	return func(s string) string {
		e, err := evidence.DecodeEvidence([]byte(s))
		require.NoError(t, err)
		change(h, e)
		data, err := e.Encode()
		require.NoError(t, err)
		return string(data)
	}
}

// Each register has its word: what Google said of the firmware is judged offline
// and as of the boots; that it said nothing is no fault, and that nobody could
// ask is neither.
func TestWhatRegistersRestOn(t *testing.T) {
	t.Parallel()
	stranger, err := storage.NewAuthority()
	require.NoError(t, err)
	signed := func(s storage.Statement) func(*hardware, *evidence.Evidence) {
		return func(h *hardware, e *evidence.Evidence) {
			message, err := h.google.Endorse(s)
			require.NoError(t, err)
			e.Endorsement.Message = message
		}
	}
	const others = "RTMR0 observed (3 boots); RTMR1, RTMR2 predicted from the image, observed (3 boots); " +
		"RTMR3 a formula, observed (3 boots)"
	today := time.Now().UTC().Format(time.DateOnly)
	for name, tc := range map[string]struct {
		change func(*hardware, *evidence.Evidence)
		code   fault.Code
		words  string
	}{
		"endorsed": {nil, fault.Success, "MRTD endorsed by Google on 2026-01-15, observed (3 boots); " + others},
		"not endorsed": {func(_ *hardware, e *evidence.Evidence) { e.Endorsement.Message = nil }, fault.Success,
			"MRTD not endorsed: Google had signed nothing for it on " + today + ", observed (3 boots); " + others},
		"nobody could ask": {func(_ *hardware, e *evidence.Evidence) { e.Endorsement = nil }, fault.General,
			"MRTD of unknown endorsement (Google could not be asked), observed (3 boots); " + others},
		"of another MRTD": {signed(storage.Statement{MRTDs: []tdx.Register{{1}}}), fault.Verification,
			"the endorsement is of another MRTD"},
		"under another root": {func(_ *hardware, e *evidence.Evidence) {
			message, err := stranger.Endorse(storage.Statement{})
			require.NoError(t, err)
			e.Endorsement.Message = message
		}, fault.Verification, "the endorsement is under another root"},
		"no endorsement": {func(_ *hardware, e *evidence.Evidence) { e.Endorsement.Message = []byte("<html>") },
			fault.Verification, "the endorsement is malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := made(t, node, func(asset, content string) string {
				if tc.change == nil || asset != release.EvidenceAsset(release.Debug) {
					return content
				}
				return endorsing(t, tc.change)(content)
			})
			report := judge(t, dir, audit.Subject{Tag: node, Commit: commit, Offline: true})
			require.Equal(t, tc.code, fault.CodeOf(report.Results.Err()), "%v", report.Results.Err())
			i := slices.IndexFunc(report.Results, func(r check.Result) bool { return r.Name == "registers of debug" })
			require.GreaterOrEqual(t, i, 0)
			require.Contains(t, report.Results[i].Reason, tc.words)
		})
	}
}

// authenticode is the event of the UKI in a record, up to the last digit of its digest.
var authenticode = regexp.MustCompile(`"UKI, Authenticode",\s*"digest": "[0-9a-f]{96}`)

var (
	collateral = regexp.MustCompile(`(?s)"collateral": \[.*\n  \]`)
	bootTime   = regexp.MustCompile(`"time": "[^"]*"`)
)

// forgedPayload writes into a log what was not measured: its digests still replay to the quote.
func forgedPayload(s string) string {
	e, err := evidence.DecodeEvidence([]byte(s))
	if err != nil {
		return s
	}
	packed, err := gzip.NewReader(bytes.NewReader(e.Boots[1].EventLog))
	if err != nil {
		return s
	}
	log, err := io.ReadAll(packed)
	if err != nil {
		return s
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(bytes.Replace(log, []byte("Calling EFI Application"), []byte("Calling EFI Applikation"), 1))
	_ = w.Close()
	e.Boots[1].EventLog = b.Bytes()
	data, err := e.Encode()
	if err != nil {
		return s
	}
	return string(data)
}

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
	h, err := nodes()
	require.NoError(t, err)
	s := audit.Subject{Tag: node, Commit: commit, Repository: repository, Trust: trust(t, local),
		TDXRoot: h.pki.RootSHA256(), GoogleRoot: h.google.RootSHA256()}
	report, err := audit.Release(t.Context(), audit.Folder{Dir: dir}, t.TempDir(), s) // without a verifier of quotes
	require.NoError(t, err)
	require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
	require.Equal(t, []string{"today's TCB of debug", "today's TCB of debug-read-only", "today's TCB of locked-read-only",
		"provenance is made of the commit's files"}, failed(report.Results))
	for _, r := range report.Results {
		require.NotEqual(t, check.Skipped, r.Status, r.Name)
	}
	s.Quick = true
	report, err = audit.Release(t.Context(), audit.Folder{Dir: dir}, t.TempDir(), s)
	require.NoError(t, err)
	require.NoError(t, report.Results.Err())
	require.Positive(t, report.Results.Count(check.Skipped))
}
