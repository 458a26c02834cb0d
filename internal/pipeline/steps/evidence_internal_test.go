package steps

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

// audited is a release of the key service whose own assets and counterpart's were downloaded.
func audited(t *testing.T, candidate int) (*stage, *measurement.Published, *measurement.Published) {
	t.Helper()
	const testdata = "../../attestation/measurement/testdata/"
	data, err := os.ReadFile(testdata + "kms.json")
	require.NoError(t, err)
	kms, err := measurement.Decode(data)
	require.NoError(t, err)
	node, err := os.ReadFile(testdata + "node.json")
	require.NoError(t, err)
	published, err := measurement.Decode(node)
	require.NoError(t, err)
	kms.Tag.Version.Candidate = candidate
	data, err = kms.Encode()
	require.NoError(t, err)
	s := staged(t, kms.Tag.String())
	s.Env.Config.TEEVersion, s.Env.Banner = published.Tag.Version, "REHEARSAL"
	s.Env.Config.ServerURL, s.Env.Config.Repository, s.Env.Config.RunID = "https://github.com", "o/r", 7
	for dir, content := range map[string][]byte{s.Public(): data, s.CounterpartDir(): node} {
		require.NoError(t, os.MkdirAll(dir, 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, release.MeasurementsAsset), content, 0o600))
	}
	for _, p := range release.Profiles() {
		require.NoError(t, os.WriteFile(filepath.Join(s.Public(), release.PolicyAsset(p)), []byte(p), 0o600))
	}
	return s, kms, published
}

// tried is a report in which every profile's node showed what was published.
func tried(kms, node *measurement.Published) *e2e.Report {
	r := &e2e.Report{Tag: kms.Tag, Node: node.Tag, Profiles: release.Profiles()}
	for _, p := range release.Profiles() {
		r.Checks = append(r.Checks, e2e.NewCheck(e2e.KeyRelease, check.Pass("a key for "+string(p)), p))
		r.Observed = append(r.Observed,
			e2e.Observation{Family: release.KMS, Version: kms.Tag.Version, Profile: p,
				Registers: kms.Profiles[p].Registers()},
			e2e.Observation{Family: release.Node, Version: node.Tag.Version, Profile: p,
				Registers: node.Profiles[p].Registers()})
	}
	isolation := check.Skip("refused", "policy_not_ready")
	r.Checks = append(r.Checks, e2e.NewCheck(e2e.ProfileIsolation, isolation, release.Debug, release.LockedReadOnly),
		e2e.NewCheck(e2e.Cleanup, check.Pass("nothing is left")))
	r.Deployed = []e2e.Deployed{{KMS: kms.Tag, Profile: release.Debug, Unchanged: true},
		{KMS: kms.Tag, Profile: release.Debug, Policy: "an older one", ComposeHash: digest.Of([]byte("older"))}}
	return r
}

// recorded is the evidence of the report as the change of the catalog carries it.
func recorded(t *testing.T, s *stage, r *e2e.Report) (*evidence.E2E, policies.Tests) {
	t.Helper()
	require.NoError(t, s.writeEvidence(r))
	files, err := s.evidenceFiles(t.Context(), nil, "", e2eRecord{})
	require.NoError(t, err)
	require.Len(t, files, 1)
	for path, data := range files {
		require.Equal(t, evidence.Dir, filepath.Dir(path))
		e, err := evidence.Decode(filepath.Base(path), data)
		require.NoError(t, err)
		return e, policies.Tests{e.Node.Release: {e}}
	}
	return nil, nil
}

// measured is the tuple that policy:promote would make of the node release.
func measured(t *testing.T, s *stage, p release.Profile) policies.Measurement {
	t.Helper()
	ev, err := ReadEvidence(s.CounterpartDir())
	require.NoError(t, err)
	return policies.Measurement{NodeRelease: ev.Tag, Evidence: ev.Digest, Registers: ev.Registers[p]}
}

func TestEvidenceOfATestThatPassed(t *testing.T) {
	t.Parallel()
	s, kms, node := audited(t, 1)
	e, tests := recorded(t, s, tried(kms, node))
	require.Equal(t, "catalog/evidence/1.2.0-rc.1--1.2.0.json", e.Path())
	require.Equal(t, kms.Tag, e.Release)
	require.Equal(t, "REHEARSAL", e.Note)
	require.Equal(t, "https://github.com/o/r/actions/runs/7", e.Run)
	require.Equal(t, kms.Commit, e.KMS.Commit)
	require.Equal(t, node.Commit, e.Node.Commit)
	require.Equal(t, []evidence.Check{{Name: "guardrail B, profile isolation: refused", Result: check.Skipped,
		Reason: "policy_not_ready"}, {Name: "mero-tee-node E2E, step 5, cleanup: nothing is left", Result: check.Passed}},
		e.Checks, "what is about several profiles is no profile's")
	require.Equal(t, []evidence.Deployment{{Policy: "an older one", ComposeHash: digest.Of([]byte("older"))}},
		e.Profiles[0].KMS.Reconfigured)
	for i, p := range release.Profiles() {
		require.Equal(t, node.Profiles[p].Image.Digest, e.Profiles[i].Node.Digest)
		require.Equal(t, kms.Profiles[p].Registers(), *e.Profiles[i].KMS.Seen)
		require.Equal(t, digest.Of([]byte(p)), e.Profiles[i].KMS.Policy)
		require.NoError(t, tests.CheckTested(p, measured(t, s, p)))
	}
}

// An honest record of a failed test, from which nothing can be promoted.
func TestEvidenceOfATestThatFailed(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*e2e.Report){
		"no key": func(r *e2e.Report) {
			r.Checks[0] = e2e.NewCheck(e2e.KeyRelease, check.Fail("a key", fault.Verification, "no key", "200", "403"),
				release.Debug)
		},
		"not appraised": func(r *e2e.Report) {
			r.Checks = append(r.Checks, e2e.NewCheck(e2e.BootVerification, check.Skip("appraised", "no key for it"),
				release.Debug))
		},
		"something is left": func(r *e2e.Report) {
			r.Checks = append(r.Checks, e2e.NewCheck(e2e.Cleanup, check.Fail("left", fault.General, "a VM", "none", "1")))
		},
		"no quote":        func(r *e2e.Report) { r.Observed = r.Observed[:1] },
		"other registers": func(r *e2e.Report) { r.Observed[1].Registers.MRTD[0] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, kms, node := audited(t, 1)
			r := tried(kms, node)
			change(r)
			_, tests := recorded(t, s, r)
			err := tests.CheckTested(release.Debug, measured(t, s, release.Debug))
			require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
		})
	}
}

// "A stable release refuses skipped": its record says so, too.
func TestEvidenceOfAStableReleaseHasNothingSkipped(t *testing.T) {
	t.Parallel()
	s, kms, node := audited(t, 0)
	e, _ := recorded(t, s, tried(kms, node))
	require.Equal(t, []string{"guardrail B, profile isolation: refused"}, e.Failed())
}

func TestAFirstReleaseHasNoEvidence(t *testing.T) {
	t.Parallel()
	s := staged(t, "mero-tee-v2.0.0-rc.1")
	files, err := s.evidenceFiles(t.Context(), nil, "", e2eRecord{})
	require.NoError(t, err)
	require.Empty(t, files)
	require.NoError(t, os.WriteFile(s.Work(EvidenceFile), []byte(strings.Repeat("{", 10)), 0o600))
	_, err = s.evidenceFiles(t.Context(), nil, "", e2eRecord{})
	require.Equal(t, fault.Verification, fault.CodeOf(err), "what was edited in between is not proposed")
}

// For a node release main's evidence counts too, and before the commit's.
func TestTheNewestEvidenceCounts(t *testing.T) {
	t.Parallel()
	n := &newest{main: evidence.Folder{FS: fstest.MapFS{"a.json": {Data: []byte("main")}}},
		commit: evidence.Folder{FS: fstest.MapFS{"a.json": {Data: []byte("commit")}, "b.json": {Data: []byte("commit")}}}}
	names, err := n.Names(t.Context())
	require.NoError(t, err)
	require.Equal(t, []string{"a.json", "b.json"}, names)
	for name, want := range map[string]string{"a.json": "main", "b.json": "commit"} {
		data, err := n.Read(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, want, string(data))
	}
}
