package walk_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/actions"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

// mishap is something that makes one job of one attempt fail.
type mishap struct {
	job, says string // says: what its log holds then
	happen    func(*walk, *actions.Run)
}

// lost takes a job's machine away before its work.
func lost(job string) mishap {
	const says = "the hosted runner lost communication with the server"
	return mishap{job, says, func(_ *walk, r *actions.Run) {
		r.Before = func(j *actions.Job, script string, _ map[string]string) error {
			if j.Name == job && strings.Contains(script, "node:build") {
				return errors.New(says)
			}
			return nil
		}
	}}
}

// unreachable takes a host away from a job.
func unreachable(job, host string) mishap {
	return mishap{job, host, func(_ *walk, r *actions.Run) {
		r.Refuse = func(j *actions.Job, asked string) bool { return j.Name == job && asked == host }
	}}
}

// contradicting hands the merging job a ledger of another beginning.
func contradicting(artifact string) mishap {
	return mishap{"release", "the ledgers do not share their beginning", func(w *walk, r *actions.Run) {
		r.Before = func(j *actions.Job, script string, env map[string]string) error {
			if !strings.Contains(script, "release:merge") {
				return nil
			}
			file := filepath.Join(env["RUNNER_TEMP"], "jobs", artifact, "ledger.jsonl")
			data, err := os.ReadFile(file)
			require.NoError(w.t, err)
			at := bytes.Index(data, []byte(`"time":"`)) + len(`"time":"`)
			data = slices.Concat(data[:at], []byte("2000"), data[at+4:])
			return os.WriteFile(file, data, 0o600)
		}
	}}
}

// rejected is a reviewer who says no.
func rejected(job string) mishap {
	return mishap{job, "was rejected", func(w *walk, _ *actions.Run) { w.decide("") }}
}

// uncatalogued is what becomes of a stable release that was tested with a candidate alone.
// Who pushed the tag approves it: another's approval would hold for the attempts that follow.
func uncatalogued() mishap {
	return mishap{"promote", "so it waits as a pre-release", letThePusherApprove}
}

// approvedByThePusher is an environment that lets who pushed the tag approve.
func approvedByThePusher() mishap {
	return mishap{"promote", "nobody else has approved it", letThePusherApprove}
}

func letThePusherApprove(w *walk, _ *actions.Run) {
	w.protect(func(e *actions.Environment) { e.SelfReview = true })
	w.decide(maintainer)
}

// approvedForAnother is an environment that wants nobody's approval, and an approval for another one.
func approvedForAnother() mishap {
	return mishap{"promote", "approved by " + reviewer + " for staging", func(w *walk, r *actions.Run) {
		w.protect(func(e *actions.Environment) { e.Reviewers = nil })
		require.NoError(w.t, w.world.GitHub().Review(int64(r.ID), github.Review{Environment: "staging", By: reviewer,
			State: "approved"}))
	}}
}

// notReviewed is an environment that wants nobody's approval.
func notReviewed() mishap {
	return mishap{"promote", "whoever pushes a tag promotes it", func(w *walk, _ *actions.Run) {
		w.protect(func(e *actions.Environment) { e.Reviewers = nil })
	}}
}

// asAnother promotes in the name of another tag's run.
func asAnother(tag string) mishap {
	return mishap{"promote", "approval: the run is this release's: it is another's", func(w *walk, r *actions.Run) {
		other, found, err := w.world.GitHub().RunOf(tag)
		require.NoError(w.t, err)
		require.True(w.t, found)
		r.Before = func(_ *actions.Job, script string, env map[string]string) error {
			if strings.Contains(script, ":promote") {
				env["GITHUB_RUN_ID"] = strconv.FormatInt(other, 10)
			}
			return nil
		}
	}}
}

// failedCI is a check of the tagged commit that fails, and is run again after.
func failedCI(job string) mishap {
	return mishap{job, "CI: ci: it did not succeed", func(w *walk, r *actions.Run) {
		w.check(r.Commit, "failure")
	}}
}

// check lets GitHub Actions report on check ci of a commit.
func (w *walk) check(commit, conclusion string) {
	w.t.Helper()
	require.NoError(w.t, w.world.GitHub().Report(github.Check{Commit: commit, Name: "ci", App: github.Actions,
		Conclusion: conclusion}))
}

// decide says who approves from now on.
func (w *walk) decide(who string) { w.decision = who }

// whileVariablesMove does what waits for an approval, while somebody sets the
// variables of the next releases, and one to what is no version.
func (w *walk) whileVariablesMove(do func()) {
	before := maps.Clone(w.vars)
	w.moving = map[string]string{"MERO_TEE_VERSION": "9.0.0", "MERO_KMS_VERSION": "v9", "GHCR_REGISTRY": "ghcr.io/other",
		"COMPATIBILITY_CATALOG_PATH": "elsewhere.json", "MERO_KMS_PROFILE": ""}
	do()
	w.moving = nil
	maps.Copy(w.vars, before)
}
