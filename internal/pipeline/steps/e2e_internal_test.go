package steps

import (
	"bytes"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// stage is a release that is tested against mero-kms-v1.0.0, with a place for its record.
type stage struct {
	*Release
	log *bytes.Buffer
}

func staged(t *testing.T, name string) *stage {
	t.Helper()
	dir := t.TempDir()
	log := &bytes.Buffer{}
	l := &Release{Tag: tag(t, name), Console: console.New(log, false),
		Env: &environment.Environment{Settings: environment.Settings{
			Config: &config.Config{KMSVersion: release.Version{Major: 1}, Profile: release.LockedReadOnly}, Dist: dir}},
		Checkout: &environment.Checkout{Catalog: dir + "/catalog.json"}}
	require.NoError(t, os.MkdirAll(l.Work(), 0o755))
	data, err := declared(t).Encode()
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(l.Checkout.Catalog, data, 0o600))
	l.Ledger, err = pipeline.OpenLedger(Dir(dir, l.Tag), l.Tag.String(), "0123456789abcdef0123456789abcdef01234567",
		time.Now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return &stage{l, log}
}

// concludes runs a step that ends with the report.
func (s *stage) concludes(t *testing.T, r *e2e.Report) error {
	t.Helper()
	w := &pipeline.Work{Console: s.Console}
	return s.concludeE2E(w, r)
}

func reportOf(node release.Tag, results ...check.Result) *e2e.Report {
	r := &e2e.Report{Profiles: release.Profiles(), Suites: e2e.Suites()}
	for _, result := range results {
		r.Checks = append(r.Checks, e2e.NewCheck(e2e.CrossVersion, result))
	}
	for _, p := range release.Profiles() {
		r.Matrix = append(r.Matrix, e2e.Cell{KMS: release.Tag{Family: release.KMS, Version: release.Version{Major: 1}},
			Node: node, Profile: p, Result: check.Passed})
	}
	return r
}

// What passed is proposed as tested, in the profiles that were tested.
func TestTested(t *testing.T) {
	t.Parallel()
	s := staged(t, "mero-tee-v2.0.0")
	require.NoError(t, s.concludes(t, reportOf(s.Tag, check.Pass("a key"))))
	tested, err := s.TestedCatalog()
	require.NoError(t, err)
	require.NotNil(t, tested)
	profiles := map[release.Profile]bool{}
	for _, e := range tested.Entries {
		for _, p := range e.Profiles {
			profiles[p] = e.Tested
		}
	}
	for _, p := range release.Profiles() {
		require.True(t, profiles[p], p)
	}
	var r e2eRecord
	require.NoError(t, ReadJSON(s.Work(E2EFile), &r))
	require.Equal(t, "mero-kms-v1.0.0", r.Counterpart)
	require.Equal(t, []string{"pass: guardrail A, cross-version: a key"}, r.Checks)
}

// "RC: E2E may be advisory": a candidate's failure is recorded, a stable release's ends it.
func TestFailures(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		tag     string
		result  check.Result
		passes  bool // the step
		tested  bool
		message string
	}{
		"a stable release that fails": {"mero-tee-v2.0.0",
			check.Fail("a key", fault.Verification, "no key", "200", "403"), false, false, "[FAIL]"},
		"a candidate that fails": {"mero-tee-v2.0.0-rc.1", check.Fail("a key", fault.Verification, "no key",
			"200", "403"), true, false, "E2E is advisory for a release candidate"},
		"a stable release that skips a check": {"mero-tee-v2.0.0", check.Skip("appraisal", "no key for it"), false, false,
			"[FAIL]"},
		"a candidate that skips one": {"mero-tee-v2.0.0-rc.1", check.Skip("appraisal", "no key for it"), true, true,
			"no key for it"},
		"what does not apply": {"mero-tee-v2.0.0", check.NotApplicable("a pair", "not released yet"), true, true,
			"not released yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := staged(t, tc.tag)
			err := s.concludes(t, reportOf(s.Tag, tc.result))
			require.Equal(t, tc.passes, err == nil, "%v", err)
			require.Contains(t, s.log.String(), tc.message)
			if !tc.passes {
				require.Equal(t, fault.Verification, fault.CodeOf(err))
				require.NoFileExists(t, s.Work(E2EFile), "nothing is recorded that a promotion could rest on")
				return
			}
			tested, err := s.TestedCatalog()
			require.NoError(t, err)
			require.Equal(t, tc.tested, tested != nil)
		})
	}
}

// A first release has nobody to be tested with: it passes, and nothing is proposed.
func TestFirstRelease(t *testing.T) {
	t.Parallel()
	s := staged(t, "mero-tee-v2.0.0-rc.1")
	require.NoError(t, s.E2E(t.Context(), &pipeline.Work{Console: s.Console}))
	require.Contains(t, s.log.String(), "no mero-kms release yet, so there is nothing to test with")
	tested, err := s.TestedCatalog()
	require.NoError(t, err)
	require.Nil(t, tested)
}

// A stable one has to be tested with somebody, however it got here.
func TestFirstStableRelease(t *testing.T) {
	t.Parallel()
	s := staged(t, "mero-tee-v2.0.0")
	err := s.E2E(t.Context(), &pipeline.Work{Console: s.Console})
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "a stable release has nothing to be tested with")
	require.NoFileExists(t, s.Work(E2EFile))
}

// Without a record there is no outcome.
func TestNotTried(t *testing.T) {
	t.Parallel()
	_, err := staged(t, "mero-tee-v2.0.0").TestedCatalog()
	require.ErrorIs(t, err, os.ErrNotExist)
}
