package guard_test

import (
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	records "github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
	"github.com/calimero-network/mero-tee/policies"
)

// record is a successful E2E of what a node release publishes.
func record(t *testing.T, ev policies.Evidence) *records.E2E {
	t.Helper()
	kms := tag(t, "mero-kms-v1.0.0-rc.1")
	measurements, err := digest.Parse(ev.Digest)
	require.NoError(t, err)
	some := digest.Of([]byte("some"))
	e := &records.E2E{SchemaVersion: records.SchemaVersion, Release: kms, At: "2026-11-26T21:00:00Z",
		KMS:    records.Side{Release: kms, Commit: strings.Repeat("a", 40), Measurements: some},
		Node:   records.Side{Release: ev.Tag, Commit: strings.Repeat("b", 40), Measurements: measurements},
		Checks: []records.Check{}}
	for _, p := range release.Profiles() {
		seen := ev.Registers[p]
		m := records.Machine{Image: "image", Digest: some, Seen: &seen}
		e.Profiles = append(e.Profiles, records.Profile{Profile: p, Node: m,
			KMS:    records.Service{Machine: m, ComposeHash: some, Policy: some},
			Checks: []records.Check{{Name: "a key", Result: check.Passed}}})
	}
	return e
}

// folder is catalog/evidence with the records.
func folder(t *testing.T, list ...*records.E2E) records.Folder {
	t.Helper()
	files := fstest.MapFS{}
	for _, e := range list {
		data, err := e.Encode()
		require.NoError(t, err)
		files[filepath.Base(e.Path())] = &fstest.MapFile{Data: data}
	}
	return records.Folder{FS: files}
}

// tested is a folder in which E2E vouches for all of these.
func tested(t *testing.T, evs ...policies.Evidence) records.Folder {
	t.Helper()
	var list []*records.E2E
	for _, ev := range evs {
		list = append(list, record(t, ev))
	}
	return folder(t, list...)
}

// "Only verified measurements from successful E2E runs", on both sides of a pair.
func TestPairAsksForEvidenceOfE2E(t *testing.T) {
	t.Parallel()
	old, final := evidence(t, "mero-tee-v0.9.0", 1), evidence(t, "mero-tee-v1.0.0", 2)
	failed, elsewhere, other, half := record(t, final), record(t, final), record(t, final), record(t, final)
	failed.Profiles[2].Checks[0].Result = check.Failed
	elsewhere.Profiles[1].Node.Seen.RTMR2[0] ^= 1
	other.Node.Measurements[0] ^= 1
	half.Profiles = half.Profiles[:1]
	broken := folder(t, record(t, old), record(t, final))
	broken.FS.(fstest.MapFS)["1.0.0-rc.1--1.0.0.json"].Data = []byte(`{"passed": true}`)
	for name, tc := range map[string]struct {
		evidence records.Source
		code     fault.Code
		reason   string
	}{
		"all of them":            {tested(t, old, final), fault.Success, ""},
		"none":                   {folder(t), fault.MissingAsset, "debug.json: no evidence of E2E of mero-tee-v0.9.0"},
		"of the older one alone": {tested(t, old), fault.MissingAsset, "no evidence of E2E of mero-tee-v1.0.0"},
		"of the newer one alone": {tested(t, final), fault.MissingAsset, "no evidence of E2E of mero-tee-v0.9.0"},
		"a test that failed": {folder(t, record(t, old), failed), fault.Verification,
			"no successful E2E of mero-tee-v1.0.0"},
		"other registers were seen": {folder(t, record(t, old), elsewhere), fault.Verification,
			"debug-read-only.json: no successful E2E"},
		"other bytes were tested": {folder(t, record(t, old), other), fault.Verification, "debug.json: no successful E2E"},
		"one profile alone": {folder(t, record(t, old), half), fault.Verification,
			"debug-read-only.json: no successful"},
		"a file that somebody wrote": {broken, fault.Verification, "is not evidence of E2E"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, in := range []guard.PairInput{
				{Tag: tag(t, "mero-kms-v1.0.0"), Counterpart: "1.0.0", Working: promoted(t, old, final),
					Releases: world{nodes: map[release.Tag]policies.Evidence{old.Tag: old, final.Tag: final}}},
				{Tag: tag(t, "mero-tee-v1.0.0-rc.2"), Counterpart: "1.0.0", Releases: world{
					nodes: map[release.Tag]policies.Evidence{old.Tag: old, final.Tag: final},
					kms: map[release.Tag]map[release.Profile]*policies.Policy{
						tag(t, "mero-kms-v1.0.0"): published(t, "mero-kms-v1.0.0", old, final)}}},
			} {
				in.Catalog, in.Evidence = shipped(t), tc.evidence
				results, err := guard.Pair(t.Context(), in)
				require.NoError(t, err)
				require.Equal(t, tc.code, fault.CodeOf(results.Err()), "%s: %v", in.Tag, results.Err())
				if tc.reason != "" {
					require.ErrorContains(t, results.Err(), tc.reason)
				}
			}
		})
	}
}

// A reason lets a release in, and is seen wherever the guard is.
func TestAReasonStandsForEvidence(t *testing.T) {
	t.Parallel()
	final := evidence(t, "mero-tee-v1.0.0", 2)
	working := map[release.Profile]*policies.Working{}
	for p, w := range promoted(t) {
		var err error
		working[p], err = policies.PromoteUntested(w, final, "no TDX before Friday")
		require.NoError(t, err)
	}
	results, err := guard.Pair(t.Context(), guard.PairInput{Tag: tag(t, "mero-kms-v1.0.0"), Counterpart: "1.0.0",
		Working: working, Catalog: shipped(t),
		Releases: world{nodes: map[release.Tag]policies.Evidence{final.Tag: final}}})
	require.NoError(t, err)
	require.NoError(t, results.Err())
	require.Equal(t, "mero-tee-v1.0.0 without E2E: no TDX before Friday", results[2].Reason)
}

// What a policy that is not ready holds is enforced by nobody.
func TestAPolicyThatIsNotReadyNeedsNoEvidence(t *testing.T) {
	t.Parallel()
	rc := evidence(t, "mero-tee-v1.0.0-rc.1", 1)
	set := map[release.Profile]*policies.Policy{}
	for p, w := range promoted(t) {
		var err error
		set[p], err = policies.Generate(w, tag(t, "mero-kms-v1.0.0-rc.1").Version, rc)
		require.NoError(t, err)
		require.True(t, set[p].NotReady())
	}
	results, err := guard.Pair(t.Context(), guard.PairInput{Tag: tag(t, "mero-tee-v1.0.0-rc.2"), Catalog: shipped(t),
		Counterpart: "1.0.0-rc.1", Releases: world{nodes: map[release.Tag]policies.Evidence{rc.Tag: rc},
			kms: map[release.Tag]map[release.Profile]*policies.Policy{tag(t, "mero-kms-v1.0.0-rc.1"): set}},
		Evidence: folder(t)})
	require.NoError(t, err)
	require.NoError(t, results.Err())
}

func TestEvidenceThatCouldNotBeReadIsNotMissing(t *testing.T) {
	t.Parallel()
	final := evidence(t, "mero-tee-v1.0.0", 2)
	in := guard.PairInput{Tag: tag(t, "mero-kms-v1.0.0"), Counterpart: "1.0.0", Working: promoted(t, final),
		Catalog: shipped(t), Releases: world{nodes: map[release.Tag]policies.Evidence{final.Tag: final}}}
	_, err := guard.Pair(t.Context(), in)
	require.Equal(t, fault.General, fault.CodeOf(err), "nobody said where")
	in.Evidence = records.Folder{FS: fstest.MapFS{"1.0.0-rc.1--1.0.0.json": {Mode: 1 << 31}}}
	results, err := guard.Pair(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, fault.MissingAsset, fault.CodeOf(results.Err()), "a folder is no file")
}

// The record of a test is no change that a page would explain; what governs records is one.
func TestEvidenceDocumentsItself(t *testing.T) {
	t.Parallel()
	for file, want := range map[string]check.Status{
		"catalog/evidence/1.0.0-rc.1--1.0.0.json": check.Inapplicable,
		"catalog/evidence/evidence.schema.json":   check.Failed,
		"catalog/evidence/1.0.0.json":             check.Failed,
		"catalog/1.0.0-rc.1--1.0.0.json":          check.Failed,
	} {
		in := guard.Proposed{Files: map[string]git.Status{file: git.Added}, CatalogPath: catalog.Path}
		require.Equal(t, want, guard.Docs(in)[0].Status, file)
	}
}
