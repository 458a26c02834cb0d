package doctor_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// "Requires release-auditor approval": the doctor says when nobody would be asked.
func TestTheEnvironmentOfPromotions(t *testing.T) {
	t.Parallel()
	environment := func(e github.Environment) func(*github.Settings) {
		return func(s *github.Settings) { s.Environments["release-auditor"] = e }
	}
	for name, tc := range map[string]struct {
		change  func(*github.Settings)
		version string
		fails   bool
		want    string
	}{
		"as documented": {func(*github.Settings) {}, "1.0.0", false,
			"[PASS] environment release-auditor: requires reviewers, of others\n"},
		"no environment": {func(s *github.Settings) { s.Environments = nil }, "1.0.0", true,
			"[FAIL] environment release-auditor: there is no such environment\n       Expected: required reviewers\n"},
		"no reviewers": {environment(github.Environment{TagPatterns: true}), "1.0.0", true,
			"[FAIL] environment release-auditor: whoever pushes a tag promotes it\n"},
		"no reviewers, of a candidate": {environment(github.Environment{}), "1.0.0-rc.1", false,
			"[WARN] environment release-auditor: whoever pushes a tag promotes it; a stable release would not be promoted\n"},
		"self-review": {environment(github.Environment{Reviewers: []string{"ann"}, TagPatterns: true}), "1.0.0", false,
			"[WARN] environment release-auditor: requires reviewers, and lets who pushed the tag be one"},
		"every branch": {environment(github.Environment{Reviewers: []string{"ann"}, PreventSelfReview: true}), "1.0.0",
			false, "[WARN] environment release-auditor: requires reviewers, and lets other tags and branches deploy"},
		"no rule of main": {func(s *github.Settings) { s.RequiredChecks = s.RequiredChecks[:1] }, "1.0.0", false,
			"[WARN] rules of main: no ruleset requires the check pr-doc-guard; a release does\n"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			w.hub.Change(tc.change)
			version, err := release.ParseVersion(tc.version)
			require.NoError(t, err)
			w.env.Config.KMSVersion = version
			said, results := w.ask(t, "approval", release.KMS)
			require.Contains(t, said, tc.want)
			require.Equal(t, tc.fails, results.Err() != nil)
		})
	}
}

// A token that may not read the environment says nothing of it.
func TestATokenThatMayNotReadTheEnvironment(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	token, err := w.hub.JobToken(map[string]string{"contents": "read"})
	require.NoError(t, err)
	w.env.GitHubToken = config.Secret(token)
	said, results := w.ask(t, "approval", release.KMS)
	require.NoError(t, results.Err())
	require.Contains(t, said,
		"[WARN] environment release-auditor: could not look: the token may not read it (actions: read)")
}
