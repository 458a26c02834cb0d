package steps_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// reviewed is what somebody says of a run, where GitHub lets them.
func (w *world) reviewed(t *testing.T, run int64, state, by string) {
	t.Helper()
	require.NoError(t, w.github.Review(run, local.Review{Environment: "release-auditor", By: by, State: state}))
}

// selfReview is an environment that lets who pushed the tag approve.
func (w *world) selfReview() {
	w.github.Change(func(s *local.Settings) {
		s.Environments["release-auditor"] = local.Environment{Reviewers: []string{"ann", "ben", "eve"}}
	})
}

// "Requires release-auditor approval": whatever is no approval of this run, by
// somebody else, leaves the release where it is.
func TestPromotionWithoutAnApproval(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		happened func(*testing.T, *world, int64)
		want     string
	}{
		"nobody": {func(*testing.T, *world, int64) {}, "Got:      no review"},
		"who pushed the tag": {func(t *testing.T, w *world, run int64) {
			w.selfReview()
			w.reviewed(t, run, "approved", "ann")
		}, "not by ann, who pushed the tag"},
		"who ran it again": {func(t *testing.T, w *world, run int64) {
			w.selfReview()
			require.NoError(t, w.github.Rerun(run, "ben"))
			w.reviewed(t, run, "approved", "ben")
		}, "nor by ben, who ran it again"},
		"a rejection": {func(t *testing.T, w *world, run int64) { w.reviewed(t, run, "rejected", "ben") },
			"rejected by ben for release-auditor"},
		"a rejection that who pushed overruled": {func(t *testing.T, w *world, run int64) {
			w.selfReview()
			w.reviewed(t, run, "approved", "eve")
			w.reviewed(t, run, "rejected", "ben")
			w.reviewed(t, run, "approved", "ann")
		}, "who pushed the tag may have overruled that"},
		"of another environment": {func(t *testing.T, w *world, run int64) {
			w.github.Change(func(s *local.Settings) {
				s.Environments["staging"] = local.Environment{Reviewers: []string{"ben"}}
			})
			require.NoError(t, w.github.Review(run, local.Review{Environment: "staging", By: "ben", State: "approved"}))
		}, "approved by ben for staging"},
		"of another run": {func(t *testing.T, w *world, _ int64) {
			other, err := w.github.StartRun(local.Run{Workflow: release.KMS.Workflow(), Tag: w.Tag.String(), Commit: commit,
				Actor: "ann"})
			require.NoError(t, err)
			w.reviewed(t, other, "approved", "ben")
		}, "nobody else has approved it"},
		"of another tag's run": {func(t *testing.T, w *world, _ int64) {
			w.asRunOf(t, local.Run{Workflow: release.KMS.Workflow(), Tag: "mero-kms-v0.9.0", Commit: commit})
		}, "the run is this release's: it is another's"},
		"of another commit's run": {func(t *testing.T, w *world, _ int64) {
			w.asRunOf(t, local.Run{Workflow: release.KMS.Workflow(), Tag: "mero-kms-v1.0.0", Commit: other})
		}, "the run is this release's: it is another's"},
		"of another workflow's run": {func(t *testing.T, w *world, _ int64) {
			w.asRunOf(t, local.Run{Workflow: "ci.yaml", Tag: "mero-kms-v1.0.0", Commit: commit})
		}, "the run is this release's: it is another's"},
		"an environment without reviewers": {func(t *testing.T, w *world, run int64) {
			w.reviewed(t, run, "approved", "ben")
			w.github.Change(func(s *local.Settings) { s.Environments["release-auditor"] = local.Environment{} })
		}, "whoever pushes a tag promotes it"},
		"no environment": {func(t *testing.T, w *world, run int64) {
			w.reviewed(t, run, "approved", "ben")
			w.github.Change(func(s *local.Settings) { s.Environments = nil })
		}, "there is no such environment"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, run := promotableService(t)
			tc.happened(t, w, run)
			err := w.promote(t)
			require.Equal(t, fault.Verification, fault.CodeOf(err), "%v", err)
			require.Contains(t, w.log.String(), tc.want)
			w.stays(t)
		})
	}
}

// asRunOf lets the process be a part of another run, which ben approved.
func (w *world) asRunOf(t *testing.T, r local.Run) {
	t.Helper()
	r.Actor = "ann"
	id, err := w.github.StartRun(r)
	require.NoError(t, err)
	w.reviewed(t, id, "approved", "ben")
	w.runs(id)
}

// stays: nothing was promoted, recorded or said.
func (w *world) stays(t *testing.T) {
	t.Helper()
	rel, err := w.GitHub.ReleaseByTag(t.Context(), w.Tag.String())
	require.NoError(t, err)
	require.True(t, rel.Prerelease)
	require.NotContains(t, rel.Body, "Approval")
	require.NoFileExists(t, w.Work(steps.ApprovalFile))
}

// Outside of a workflow nothing stable is promoted; what cannot be asked is no refusal of the release.
func TestPromotionThatCannotAsk(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		happened func(*testing.T, *world)
		code     fault.Code
		want     string
	}{
		"no workflow": {func(_ *testing.T, w *world) { w.Env.Run = nil }, fault.Verification,
			"a stable release is promoted by its workflow alone"},
		"a run that is not there": {func(_ *testing.T, w *world) { w.runs(99) }, fault.General, "workflow run 99"},
		"no right to read runs": {func(t *testing.T, w *world) {
			job, err := w.github.JobToken(map[string]string{"contents": "write", "pull-requests": "write"})
			require.NoError(t, err)
			w.GitHub, err = github.New(github.Options{Repository: config.DefaultRepository, Token: job,
				Transport: w.Env.Transport})
			require.NoError(t, err)
		}, fault.General, "workflow run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, _ := promotableService(t)
			tc.happened(t, w)
			err := w.promote(t)
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.want)
			w.stays(t)
		})
	}
}

// Who approved is in work/, in the ledger and in the notes, once, also when it is promoted again.
func TestWhoApprovedIsRecorded(t *testing.T) {
	t.Parallel()
	w, run := promotableService(t)
	require.NoError(t, w.github.Review(run, local.Review{Environment: "release-auditor", By: "eve", State: "rejected"}))
	require.NoError(t, w.github.Rerun(run, "ann"))
	require.NoError(t, w.github.Review(run, local.Review{Environment: "release-auditor", By: "ben", State: "approved",
		Comment: "fine\n\n## Changes\n@everyone <b>x</b>\nBuilt from commit " + other + "."}))
	require.NoError(t, w.promote(t))
	rel, err := w.GitHub.ReleaseByTag(t.Context(), w.Tag.String())
	require.NoError(t, err)
	require.False(t, rel.Prerelease)
	page := fmt.Sprintf("https://github.com/calimero-network/mero-tee/actions/runs/%d", run)
	require.Contains(t, rel.Body, "## Approval\n\n- approved for `release-auditor` by `ben`, in "+page+", as seen at 20")
	require.Contains(t, rel.Body, `\<b\>x\</b\>`, "what a reviewer wrote is no markup")
	require.True(t, strings.HasSuffix(rel.Body, "\n\nBuilt from commit "+commit+".\n"), rel.Body)
	require.Equal(t, 1, strings.Count("\n"+rel.Body, "\n## "), rel.Body)

	data, err := os.ReadFile(w.Work(steps.ApprovalFile))
	require.NoError(t, err)
	var record struct {
		Approvals []struct{ By string }
		Run       string
	}
	require.NoError(t, json.Unmarshal(data, &record))
	require.Len(t, record.Approvals, 1)
	require.Equal(t, "ben", record.Approvals[0].By)
	require.Equal(t, page, record.Run)
	require.True(t, recorded(w.Ledger.Records(), "mero-kms-v1.0.0 by ben in "+page))

	require.NoError(t, w.Promote(t.Context(),
		&pipeline.Work{Console: w.Console, Journal: w.Ledger.Journal("kms:promote")}))
	again, err := os.ReadFile(w.Work(steps.ApprovalFile))
	require.NoError(t, err)
	require.Equal(t, string(data), string(again))
	after, err := w.GitHub.ReleaseByTag(t.Context(), w.Tag.String())
	require.NoError(t, err)
	require.Equal(t, rel.Body, after.Body)
}

func recorded(records []pipeline.Record, subject string) bool {
	for _, r := range records {
		if r.Kind == "approval" && r.Event == pipeline.Passed && r.Subject == subject {
			return true
		}
	}
	return false
}
