package steps_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// trial is the test of a release with its counterpart, and what came of it.
type trial struct {
	tag, counterpart string
	failed           bool
	others           []string // "KMS NODE" that guardrail A tested as well
	hotfixOf         string   // the tag that it patches
	pairs            []string // of its commit's catalog; main's when empty
}

// promotable is a stable release that waits for one thing alone, that somebody
// approves its run: its E2E passed, its pair is proposed, nothing moved that
// people have to follow, it is public and it is audited. main lists the pairs. A
// test takes away what it is about.
func promotable(t *testing.T, tr trial, pairs ...string) (w *world, run int64) {
	t.Helper()
	repo := newRepository(t, pairs...)
	if tr.hotfixOf != "" {
		require.NoError(t, repo.github.Push("refs/tags/"+tr.hotfixOf, strings.Repeat("a", 40), nil))
	}
	w = repo.release(tr)
	require.NoError(t, w.propose(t))
	w.github.Change(func(s *local.Settings) { *s = local.Documented("ann", "ben", "eve") })
	require.NoError(t, w.github.Push("refs/tags/"+tr.tag, commit, nil))
	draft := w.draft(t, map[string]string{"a.json": "{}"})
	no := false
	_, err := w.GitHub.Update(t.Context(), draft.ID, github.Patch{Draft: &no, MakeLatest: "false"})
	require.NoError(t, err)
	w.impatient(t)
	public, err := w.PublicAssets(t.Context())
	require.NoError(t, err)
	require.NoError(t, steps.WriteJSON(w.Work(steps.AuditFile), steps.AuditRecord{Tag: tr.tag, Commit: commit,
		Assets: public, Checks: []string{}}))
	run, err = w.github.StartRun(local.Run{Workflow: w.Tag.Family.Workflow(), Tag: tr.tag, Commit: commit, Actor: "ann"})
	require.NoError(t, err)
	w.runs(run)
	return w, run
}

// promotableService is a key service that waits for its approval.
func promotableService(t *testing.T) (w *world, run int64) {
	t.Helper()
	return promotable(t, trial{tag: "mero-kms-v1.0.0", counterpart: "mero-tee-v2.0.0"}, "1.0.0 2.0.0 first")
}

// release is a release whose E2E ended; what its tag's commit holds is as main is now.
func (r *repository) release(tr trial) *world {
	r.t.Helper()
	tag, counterpart := parsed(r.t, tr.tag), parsed(r.t, tr.counterpart)
	cfg := *r.Env.Config
	cfg.RunID = 4711
	cfg.KMSVersion, cfg.TEEVersion = tag.Version, counterpart.Version
	if tag.Family == release.Node {
		cfg.KMSVersion, cfg.TEEVersion = counterpart.Version, tag.Version
	}
	dir := r.t.TempDir()
	checkout := &environment.Checkout{Commit: commit, Time: time.Unix(0, 0), Catalog: filepath.Join(dir, "catalog.json"),
		Notes: dir}
	held := []byte(r.file(catalog.Path, "main"))
	if tr.pairs != nil {
		held = r.catalog(tr.pairs...)
	}
	require.NoError(r.t, os.WriteFile(checkout.Catalog, held, 0o600))
	text := notes.Statement(tag, tr.class(), "Words.", "INC-1")
	require.NoError(r.t, os.WriteFile(filepath.Join(dir, releases.File(tag)), text, 0o600))
	settings := r.Env.Settings
	settings.Config, settings.Dist = &cfg, dir
	settings.Checkout = func(context.Context, release.Tag) (*environment.Checkout, error) { return checkout, nil }
	out := &world{log: &bytes.Buffer{}, github: r.github}
	var err error
	out.Release, err = steps.Open(r.t.Context(), &environment.Environment{Settings: settings}, tag,
		console.New(out.log, false))
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, out.Close()) })
	out.record(r.t, tr)
	return out
}

func (tr trial) class() release.Class {
	if tr.hotfixOf != "" {
		return release.Hotfix
	}
	return release.Stable
}

// record writes what the guards, the audit and E2E leave behind.
func (w *world) record(t *testing.T, tr trial) {
	t.Helper()
	planned := steps.PlanRecord{Tag: w.Tag, Class: tr.class()}
	if tr.hotfixOf != "" {
		patched := parsed(t, tr.hotfixOf)
		planned.Patched, planned.Previous = &patched, &patched
	}
	require.NoError(t, steps.WriteJSON(w.Work(steps.PlanFile), planned))
	require.NoError(t, steps.WriteJSON(w.Work(steps.MovedFile), plan.Moved{}))
	tested := steps.E2ERecord{Tag: tr.tag, Counterpart: tr.counterpart, Profiles: release.Profiles(),
		Suites: e2e.Suites(), Passed: !tr.failed, Matrix: tr.matrix(t), Deployed: []e2e.Deployed{},
		Checks: []string{"pass: a key"}}
	if tr.failed {
		tested.Checks = []string{"fail: a key"}
	}
	require.NoError(t, steps.WriteJSON(w.Work(steps.E2EFile), tested))
}

// matrix has the same result in each pair and profile.
func (tr trial) matrix(t *testing.T) (out e2e.Matrix) {
	t.Helper()
	result := check.Passed
	if tr.failed {
		result = check.Failed
	}
	pair := catalog.PairOf(parsed(t, tr.tag), parsed(t, tr.counterpart))
	for _, names := range append([]string{pair.KMS.String() + " " + pair.NodeImage.String()}, tr.others...) {
		kms, node, _ := strings.Cut(names, " ")
		for _, p := range release.Profiles() {
			out = append(out, e2e.Cell{KMS: parsed(t, "mero-kms-v"+kms), Node: parsed(t, "mero-tee-v"+node), Profile: p,
				Result: result})
		}
	}
	return out
}

func parsed(t *testing.T, name string) release.Tag {
	t.Helper()
	tag, err := release.ParseTag(name)
	require.NoError(t, err)
	return tag
}

// propose and promote run the step, however often.
func (w *world) propose(t *testing.T) error { t.Helper(); return w.run(t, w.ProposeCatalog) }

func (w *world) promote(t *testing.T) error { t.Helper(); return w.run(t, w.Promote) }

func (w *world) run(t *testing.T, do func(context.Context, *pipeline.Work) error) error {
	t.Helper()
	run := pipeline.Run{Ledger: w.Ledger, Console: w.Console,
		Graph: pipeline.Graph{{Name: w.Tag.Family.Short() + ":promote", Title: "promoting", Do: do,
			Inputs: func(context.Context) (pipeline.Digests, error) { // so that it runs each time
				return pipeline.Digests{"now": fmt.Sprint(time.Now().UnixNano())}, nil
			}}}}
	return run.All(t.Context())
}

// runs is the run that this process is a part of.
func (w *world) runs(id int64) {
	w.Env.Run = func(context.Context, release.Tag) (int64, error) { return id, nil }
}
