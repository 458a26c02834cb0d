package pipeline_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

const (
	tag    = "mero-kms-v1.2.0"
	commit = "0123456789abcdef0123456789abcdef01234567"
)

// world is a three-step release whose source, artifact and remote are strings in memory.
type world struct {
	source, artifact string
	built, signed    atomic.Int32
	published        atomic.Int32
	buildErr         error
}

func (w *world) graph() pipeline.Graph {
	return pipeline.Graph{
		{Name: "build", Title: "building",
			Inputs:  func(context.Context) (pipeline.Digests, error) { return pipeline.Digests{"source": w.source}, nil },
			Outputs: func(context.Context) (pipeline.Digests, error) { return pipeline.Digests{"artifact": w.artifact}, nil },
			Do: func(context.Context, *pipeline.Work) error {
				w.built.Add(1)
				w.artifact = "built from " + w.source
				return w.buildErr
			}},
		{Name: "sign", Title: "signing", Needs: []string{"build"},
			Do: func(_ context.Context, work *pipeline.Work) error {
				w.signed.Add(1)
				return work.Begin(journal.Signature, "artifact")
			}},
		{Name: "publish", Title: "publishing", Needs: []string{"sign"}, Publishes: true,
			Do: func(context.Context, *pipeline.Work) error { w.published.Add(1); return nil }},
	}
}

func open(t *testing.T, dir string, g pipeline.Graph) *pipeline.Run {
	t.Helper()
	require.NoError(t, g.Check())
	l, err := pipeline.OpenLedger(dir, tag, commit, time.Now)
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	return &pipeline.Run{Graph: g, Ledger: l, Console: console.New(&bytes.Buffer{}, false)}
}

func perform(t *testing.T, r *pipeline.Run, names ...string) {
	t.Helper()
	for _, n := range names {
		require.NoError(t, r.Perform(t.Context(), n))
	}
}

func TestEachStepRunsOnce(t *testing.T) {
	t.Parallel()
	w := &world{source: "a"}
	dir := t.TempDir()
	r := open(t, dir, w.graph())
	perform(t, r, "build", "sign", "publish")
	perform(t, r, "build", "sign", "publish")
	require.NoError(t, r.Ledger.Close())
	perform(t, open(t, dir, w.graph()), "build", "sign", "publish")
	require.EqualValues(t, 1, w.built.Load())
	require.EqualValues(t, 1, w.signed.Load())
	require.EqualValues(t, 1, w.published.Load())
}

func TestGateNamesTheMissingStep(t *testing.T) {
	t.Parallel()
	w := &world{source: "a"}
	r := open(t, t.TempDir(), w.graph())
	err := r.Perform(t.Context(), "publish")
	require.EqualError(t, err, "publish: this step needs build: the ledger does not hold build as passed")
	require.Zero(t, w.published.Load())
}

func TestGateHoldsAfterAFailedNeed(t *testing.T) {
	t.Parallel()
	w := &world{source: "a", buildErr: errors.New("compiler said no")}
	r := open(t, t.TempDir(), w.graph())
	require.ErrorContains(t, r.Perform(t.Context(), "build"), "build: compiler said no")
	require.ErrorContains(t, r.Perform(t.Context(), "sign"), "needs build")
	require.Zero(t, w.signed.Load())
}

func TestChangedInputsRunAgainBeforePublication(t *testing.T) {
	t.Parallel()
	w := &world{source: "a"}
	r := open(t, t.TempDir(), w.graph())
	perform(t, r, "build", "sign")
	w.source = "b"
	require.ErrorContains(t, r.Perform(t.Context(), "sign"), "needs build",
		"what was signed is not what would be built now")
	perform(t, r, "build", "sign", "publish")
	require.EqualValues(t, 2, w.built.Load())
	require.EqualValues(t, 2, w.signed.Load())
}

func TestChangedOutputsAreNotTrusted(t *testing.T) {
	t.Parallel()
	w := &world{source: "a"}
	r := open(t, t.TempDir(), w.graph())
	perform(t, r, "build")
	w.artifact = "tampered"
	require.ErrorContains(t, r.Perform(t.Context(), "sign"), "needs build")
	perform(t, r, "build", "sign")
	require.Equal(t, "built from a", w.artifact)
}

func TestPublishedMeansImmutable(t *testing.T) {
	t.Parallel()
	w := &world{source: "a"}
	r := open(t, t.TempDir(), w.graph())
	perform(t, r, "build", "sign", "publish")
	w.source = "b"
	err := r.Perform(t.Context(), "build")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "build: mero-kms-v1.2.0 is published, and source has changed since", err.Error())
	require.Equal(t, "a", f.Expected)
	require.Equal(t, "b", f.Got)
	require.Contains(t, f.Hint, "rehearse:reset")
	require.EqualValues(t, 1, w.built.Load())
}

// parted is a target of three parts, the second of which fails, and one that needs them all.
func parted(ran *sync.Map) pipeline.Graph {
	var g pipeline.Graph
	var needs []string
	for _, part := range []string{"a", "b", "c"} {
		name := pipeline.Part("build", part)
		needs = append(needs, name)
		g = append(g, pipeline.Step{Name: name, Do: func(context.Context, *pipeline.Work) error {
			ran.Store(part, true)
			if part == "b" {
				return errors.New("no disk")
			}
			return nil
		}})
	}
	return append(g, pipeline.Step{Name: "join", Needs: needs,
		Do: func(context.Context, *pipeline.Work) error { return nil }})
}

func TestPartsOfATarget(t *testing.T) {
	t.Parallel()
	var ran sync.Map
	r := open(t, t.TempDir(), parted(&ran))
	require.NoError(t, r.PerformTarget(t.Context(), "build", "c"))
	_, a := ran.Load("a")
	require.False(t, a, "only the part that was asked for")
	require.EqualError(t, r.PerformTarget(t.Context(), "build", ""), "build/b: no disk")
	_, a = ran.Load("a")
	require.True(t, a, "one that fails does not stop the others")
	for name, want := range map[string]pipeline.Event{"build/a": pipeline.Passed, "build/b": pipeline.Failed,
		"build/c": pipeline.Passed} {
		record, ok := r.Ledger.Latest(name)
		require.True(t, ok, name)
		require.Equal(t, want, record.Event, name)
	}
	err := r.Perform(t.Context(), "join")
	require.ErrorContains(t, err, "needs build/b")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Contains(t, f.Hint, "go tool mage build`", "a target, not a part, is what one runs")
	require.Equal(t, fault.Usage, fault.CodeOf(r.PerformTarget(t.Context(), "build", "d")))
	require.Equal(t, fault.Usage, fault.CodeOf(r.PerformTarget(t.Context(), "nope", "")))
}

func TestCancelledStepIsNotPassed(t *testing.T) {
	t.Parallel()
	w := &world{source: "a"}
	r := open(t, t.TempDir(), w.graph())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.Perform(ctx, "build"), context.Canceled)
	require.ErrorContains(t, r.Perform(t.Context(), "sign"), "needs build")
}

func TestUnknownStepIsUsage(t *testing.T) {
	t.Parallel()
	r := open(t, t.TempDir(), (&world{}).graph())
	require.Equal(t, fault.Usage, fault.CodeOf(r.Perform(t.Context(), "nope")))
}

func TestGraphCheck(t *testing.T) {
	t.Parallel()
	do := func(context.Context, *pipeline.Work) error { return nil }
	for name, tc := range map[string]struct {
		g    pipeline.Graph
		want string
	}{
		"forward need": {pipeline.Graph{{Name: "a", Needs: []string{"b"}, Do: do}, {Name: "b", Do: do}}, "not listed above"},
		"twice":        {pipeline.Graph{{Name: "a", Do: do}, {Name: "a", Do: do}}, "twice"},
		"nothing":      {pipeline.Graph{{Name: "a"}}, "does nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.ErrorContains(t, tc.g.Check(), tc.want)
		})
	}
}

func TestTornLastLineIsDropped(t *testing.T) {
	t.Parallel()
	w := &world{source: "a"}
	dir := t.TempDir()
	r := open(t, dir, w.graph())
	perform(t, r, "build")
	require.NoError(t, r.Ledger.Close())
	path := filepath.Join(dir, pipeline.LedgerName)
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	for cut := len(whole) - 1; cut > 0; cut-- {
		require.NoError(t, os.WriteFile(path, whole[:cut], 0o644))
		l, err := pipeline.OpenLedger(dir, tag, commit, time.Now)
		require.NoError(t, err)
		_, passed := l.Latest("build")
		require.False(t, passed, "cut at %d: a torn outcome is no outcome", cut)
		require.NoError(t, l.Close())
	}
}

func TestLedgerOfAnotherReleaseIsRefused(t *testing.T) {
	t.Parallel()
	for name, line := range map[string]string{
		"other tag":    `{"tag":"mero-kms-v9.9.9","commit":"` + commit + `","step":"build","event":"intent"}` + "\n",
		"other commit": `{"tag":"` + tag + `","commit":"ffff","step":"build","event":"intent"}` + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, pipeline.LedgerName), []byte(line), 0o644))
			_, err := pipeline.OpenLedger(dir, tag, commit, time.Now)
			require.Error(t, err)
		})
	}
}

func TestTwoProcessesNeverShareALedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, (&world{}).graph())
	_, err := pipeline.OpenLedger(dir, tag, commit, time.Now)
	require.ErrorContains(t, err, "another process")
}

func TestStatusPlanAndReport(t *testing.T) {
	t.Parallel()
	w := &world{source: "a"}
	dir := t.TempDir()
	g := w.graph()
	r := open(t, dir, g)
	perform(t, r, "build")
	w.buildErr = errors.New("x")
	status, err := g.Status(dir)
	require.NoError(t, err)
	require.Equal(t, []string{"passed", "not run", "not run"},
		[]string{status.Steps[0].State, status.Steps[1].State, status.Steps[2].State})
	require.Equal(t, []string{"sign"}, status.Next)
	require.Empty(t, status.Left)
	var b strings.Builder
	require.NoError(t, status.Write(&b, "`go on`"))
	require.Contains(t, b.String(), "build    passed")
	require.Contains(t, b.String(), "next  sign: `go on`\n")
	b.Reset()
	require.NoError(t, g.Plan(&b))
	require.Contains(t, b.String(), "3  publish  publishing  after sign")
	perform(t, r, "build", "sign")
	b.Reset()
	require.NoError(t, r.Report(&b))
	require.Contains(t, b.String(), "already done")
	require.Contains(t, b.String(), "build › sign")
	empty, err := g.Status(t.TempDir())
	require.NoError(t, err)
	require.Equal(t, "not run", empty.Steps[0].State)
	require.Equal(t, []string{"build"}, empty.Next)
}

// What a killed run may have left is named, with what becomes of it.
func TestStatusNamesWhatIsLeft(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	g := (&world{}).graph()
	r := open(t, dir, g)
	note := r.Ledger.Journal("build")
	require.NoError(t, note.Begin(journal.VM, "gone"))
	require.NoError(t, note.End(journal.VM, "gone", nil))
	require.NoError(t, note.Begin(journal.VM, "mero-build-1"))
	require.NoError(t, note.Begin(journal.Upload, "sbom.spdx.json"))
	status, err := g.Status(dir)
	require.NoError(t, err)
	require.Equal(t, []pipeline.Effect{{Kind: journal.VM, Subject: "mero-build-1"},
		{Kind: journal.Upload, Subject: "sbom.spdx.json"}}, status.Left)
	var b strings.Builder
	require.NoError(t, status.Write(&b, "go on"))
	require.Contains(t, b.String(), "left behind, perhaps: vm mero-build-1: `go tool mage sweep`")
	require.Contains(t, b.String(), "left behind, perhaps: upload sbom.spdx.json: the next run looks")
}

func FuzzReadLedger(f *testing.F) {
	f.Add([]byte(`{"time":"2026-11-23T00:00:00Z","tag":"t","commit":"c","step":"s","event":"passed","inputs":{"a":"b"}}` +
		"\n"))
	f.Add([]byte("{\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		records, size, err := pipeline.ReadLedger(pipeline.LedgerName, bytes.NewReader(in))
		if err != nil {
			return
		}
		require.LessOrEqual(t, size, int64(len(in)))
		again, _, err := pipeline.ReadLedger(pipeline.LedgerName, bytes.NewReader(in[:size]))
		require.NoError(t, err)
		require.Len(t, again, len(records))
	})
}

// Not parallel: it changes the environment of the process. A release is
// continued by later jobs, whose environment the first step never saw.
func TestEveryStepRefusesAllowedVariables(t *testing.T) {
	w := &world{source: "a"}
	dir := t.TempDir()
	r := open(t, dir, w.graph())
	var log bytes.Buffer
	r.Console = console.New(&log, false)
	perform(t, r, "build")
	t.Setenv("ALLOWED_MRTD", "00")
	for _, step := range []string{"build", "sign", "publish"} { // done already, next, and blocked
		err := r.Perform(t.Context(), step)
		require.Equal(t, fault.Verification, fault.CodeOf(err), step)
		require.Contains(t, log.String(), "[FAIL] "+step+
			": guard 4: no ALLOWED_* in the environment: the process environment overrides the policy")
	}
	require.Zero(t, w.signed.Load())
}
