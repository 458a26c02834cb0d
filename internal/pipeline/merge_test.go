package pipeline_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

var profiles = []string{"c", "a", "b"} // the graph's order, not the alphabet's

// fanned is a graph whose parts are made on machines of their own, in dir.
func fanned(dir string) pipeline.Graph {
	file := func(name string) (out func(context.Context) (pipeline.Digests, error),
		do func(context.Context, *pipeline.Work) error) {
		path := filepath.Join(dir, "assets", filepath.FromSlash(name))
		out = func(context.Context) (pipeline.Digests, error) {
			data, err := os.ReadFile(path)
			if err != nil {
				return pipeline.Digests{"file": "absent"}, nil //nolint:nilerr // absent is what it is
			}
			return pipeline.Digests{"file": string(data)}, nil
		}
		return out, func(_ context.Context, w *pipeline.Work) error {
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			return w.Do(journal.Upload, name, func() error { return os.WriteFile(path, []byte("content of "+name), 0o644) })
		}
	}
	step := func(name string, needs ...string) pipeline.Step {
		out, do := file(name)
		return pipeline.Step{Name: name, Title: name, Needs: needs, Outputs: out, Do: do}
	}
	g := pipeline.Graph{step("version")}
	var measured []string
	for _, p := range profiles {
		g = append(g, step("build/"+p, "version"))
	}
	for _, p := range profiles {
		g = append(g, step("measure/"+p, "build/"+p))
		measured = append(measured, "measure/"+p)
	}
	return append(g, step("join", measured...), step("sign", "join"))
}

func handed(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
	return to
}

// work performs steps in dir, as one job does.
func work(t *testing.T, dir string, names ...string) {
	t.Helper()
	r := open(t, dir, fanned(dir))
	perform(t, r, names...)
	require.NoError(t, r.Ledger.Close())
}

// jobs is a release that was begun once and went on in one job for each profile.
func jobs(t *testing.T) (begun string, dirs []string) {
	t.Helper()
	begun = t.TempDir()
	work(t, begun, "version")
	for _, p := range profiles {
		dir := handed(t, begun)
		work(t, dir, "build/"+p, "measure/"+p)
		dirs = append(dirs, dir)
	}
	return begun, dirs
}

func merge(t *testing.T, into string, dirs ...string) error {
	t.Helper()
	l, err := pipeline.OpenLedger(into, tag, commit, time.Now)
	require.NoError(t, err)
	defer l.Close()
	return l.Merge(fanned(into), dirs)
}

// tree is every file below dir with its content.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			data, err := os.ReadFile(filepath.Join(dir, name))
			require.NoError(t, err)
			out[name] = string(data)
		}
		return err
	}))
	return out
}

// permutations calls f with every order of s.
func permutations(s []string, f func([]string)) {
	if len(s) < 2 {
		f(slices.Clone(s))
		return
	}
	for i := range s {
		rest := slices.Delete(slices.Clone(s), i, i+1)
		permutations(rest, func(p []string) { f(append([]string{s[i]}, p...)) })
	}
}

func TestMergeDoesNotDependOnTheOrder(t *testing.T) {
	t.Parallel()
	begun, dirs := jobs(t)
	var want map[string]string
	permutations(append([]string{begun}, dirs...), func(order []string) {
		into := t.TempDir()
		require.NoError(t, merge(t, into, order...))
		got := tree(t, into)
		if want == nil {
			want = got
		}
		require.Equal(t, want, got)
		require.NoError(t, merge(t, into, order...))
		require.NoError(t, merge(t, into, order[0]))
		require.Equal(t, want, tree(t, into), "merging again changes nothing")

		// One after the other, each time with what there is so far.
		chain := t.TempDir()
		for _, dir := range order {
			require.NoError(t, merge(t, chain, dir))
		}
		require.Equal(t, want, tree(t, chain))
	})
	var steps []string
	records, _, err := pipeline.ReadLedger(pipeline.LedgerName, strings.NewReader(want[pipeline.LedgerName]))
	require.NoError(t, err)
	for _, r := range records {
		if r.Event == pipeline.Passed && r.Kind == "" {
			steps = append(steps, r.Step)
		}
	}
	require.Equal(t, []string{"version", "build/c", "measure/c", "build/a", "measure/a", "build/b", "measure/b"}, steps)
	require.Len(t, want, 1+1+2*len(profiles))
}

func TestMergeTakesNothingWhereItWouldChangeNothing(t *testing.T) {
	t.Parallel()
	_, dirs := jobs(t)
	into := t.TempDir()
	require.NoError(t, merge(t, into, dirs...))
	before, err := os.Stat(filepath.Join(into, pipeline.LedgerName))
	require.NoError(t, err)
	require.NoError(t, merge(t, into, dirs...))
	after, err := os.Stat(filepath.Join(into, pipeline.LedgerName))
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after))
}

func TestLaterStepsFindTheirNeedsInTheMergedLedger(t *testing.T) {
	t.Parallel()
	_, dirs := jobs(t)
	into := t.TempDir()
	require.NoError(t, merge(t, into, dirs[:2]...))
	r := open(t, into, fanned(into))
	require.ErrorContains(t, r.Perform(t.Context(), "join"), "needs build/b")
	require.NoError(t, r.Ledger.Merge(r.Graph, dirs[2:]), "the lock is held all the while")
	before := len(r.Ledger.Records())
	perform(t, r, "version", "build/a", "measure/b", "join")
	require.Len(t, r.Ledger.Records(), before+4, "only join was done")
	_, err := pipeline.OpenLedger(into, tag, commit, time.Now)
	require.ErrorContains(t, err, "another process")
	require.NoError(t, r.Ledger.Close())

	// What followed stays when a job's ledger comes once more, and one that went on is followed.
	done := tree(t, into)
	require.NoError(t, merge(t, into, dirs...))
	require.Equal(t, done, tree(t, into))
	elsewhere := t.TempDir()
	require.NoError(t, merge(t, elsewhere, append(dirs, into)...))
	require.Equal(t, done, tree(t, elsewhere))
}

// A job that was run again goes on where its first attempt ended.
func TestMergeFollowsTheAttemptThatWentOn(t *testing.T) {
	t.Parallel()
	begun, dirs := jobs(t)
	first := handed(t, begun)
	work(t, first, "build/a")
	second := handed(t, first)
	work(t, second, "measure/a")
	into := t.TempDir()
	require.NoError(t, merge(t, into, second, first, dirs[0]))
	require.Contains(t, tree(t, into), "assets/measure/a")
	require.ErrorContains(t, merge(t, into, dirs[1]), "contradict", "the same part, made twice")
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, begun string, dirs []string)
		want  fault.Error
	}{
		"another release's ledger": {func(t *testing.T, _ string, dirs []string) {
			rewrite(t, dirs[1], tag, "mero-kms-v9.9.9")
		},
			fault.Error{Code: fault.General, Message: "another release", Expected: tag + " at commit " + commit,
				Got: "mero-kms-v9.9.9"}},
		"another commit's": {func(t *testing.T, _ string, dirs []string) { rewrite(t, dirs[1], commit, "ffff") },
			fault.Error{Code: fault.General, Message: "another release", Expected: commit, Got: "ffff"}},
		"a job that began by itself": {func(t *testing.T, _ string, dirs []string) {
			require.NoError(t, os.Remove(filepath.Join(dirs[1], pipeline.LedgerName)))
			work(t, dirs[1], "version", "build/a", "measure/a")
		}, fault.Error{Code: fault.Verification, Message: "do not share their beginning", Expected: "intent of version at ",
			Got: "intent of version at "}},
		"a job without a beginning": {func(t *testing.T, _ string, dirs []string) {
			require.NoError(t, os.WriteFile(filepath.Join(dirs[1], pipeline.LedgerName), nil, 0o644))
		}, fault.Error{Code: fault.Verification, Message: "do not share their beginning", Expected: "a step that was done",
			Got: "none in "}},
		"a beginning that was done again later": {func(t *testing.T, _ string, dirs []string) {
			line(t, dirs[1], `{"time":"2026-01-01T00:00:00Z","tag":"`+tag+`","commit":"`+commit+
				`","step":"version","event":"intent"}`)
		}, fault.Error{Code: fault.Verification, Message: "do not share their beginning", Expected: "version before any part",
			Got: "again at 2026-01-01T00:00:00Z"}},
		"a beginning that went on elsewhere": {func(t *testing.T, begun string, dirs []string) {
			line(t, begun, `{"time":"2026-01-01T00:00:00Z","tag":"`+tag+`","commit":"`+commit+
				`","step":"version","event":"intent"}`)
			require.NoError(t, os.RemoveAll(dirs[1]))
			require.NoError(t, os.CopyFS(dirs[1], os.DirFS(begun)))
		}, fault.Error{Code: fault.Verification, Message: "do not share their beginning",
			Expected: "intent of version at 2026-01-01T00:00:00Z", Got: "nothing in "}},
		"the same part with other outputs": {func(t *testing.T, _ string, dirs []string) {
			require.NoError(t, os.RemoveAll(dirs[1]))
			require.NoError(t, os.CopyFS(dirs[1], os.DirFS(dirs[0])))
			rewrite(t, dirs[1], `"file":"content of measure/c"`, `"file":"something else"`)
		}, fault.Error{Code: fault.Verification, Message: "contradict", Expected: "measure/c with output file=",
			Got: "measure/c with output file="}},
		"the same part with other inputs": {func(t *testing.T, _ string, dirs []string) {
			require.NoError(t, os.RemoveAll(dirs[1]))
			require.NoError(t, os.CopyFS(dirs[1], os.DirFS(dirs[0])))
			rewrite(t, dirs[1], `"version/file":"content of version"`, `"version/file":"something else"`)
		}, fault.Error{Code: fault.Verification, Message: "contradict", Expected: "build/c with input version/file=",
			Got: "build/c with input version/file="}},
		"a step of another pipeline": {func(t *testing.T, _ string, dirs []string) {
			rewrite(t, dirs[1], `"measure/a"`, `"cook/a"`)
		},
			fault.Error{Code: fault.Verification, Message: "ledger.jsonl", Expected: "steps of this pipeline", Got: `"cook/a"`}},
		"a ledger that is none": {func(t *testing.T, _ string, dirs []string) { line(t, dirs[1], "hello") },
			fault.Error{Code: fault.Verification, Message: "ledger.jsonl"}},
		"a job that brought no ledger": {func(t *testing.T, _ string, dirs []string) {
			require.NoError(t, os.Remove(filepath.Join(dirs[1], pipeline.LedgerName)))
		}, fault.Error{Code: fault.MissingAsset, Message: "a job's ledger"}},
		"the same file with other bytes": {func(t *testing.T, _ string, dirs []string) {
			require.NoError(t, os.WriteFile(filepath.Join(dirs[1], "assets", "version"), []byte("x"), 0o644))
		}, fault.Error{Code: fault.Verification, Message: "assets/version is not the same in all jobs", Expected: "sha256:",
			Got: "sha256:"}},
		"a link": {func(t *testing.T, _ string, dirs []string) {
			require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dirs[1], "assets", "more")))
		}, fault.Error{Code: fault.Verification, Message: "assets/more", Expected: "a file of at most", Got: "Lrwxrwxrwx"}},
		"a huge file": {func(t *testing.T, _ string, dirs []string) {
			f, err := os.Create(filepath.Join(dirs[1], "assets", "more"))
			require.NoError(t, err)
			require.NoError(t, f.Truncate(2<<30+1))
			require.NoError(t, f.Close())
		}, fault.Error{Code: fault.Verification, Message: "assets/more", Expected: "a file of at most",
			Got: "2147483649 bytes"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			begun, dirs := jobs(t)
			tc.spoil(t, begun, dirs)
			texts := map[string]bool{}
			permutations(dirs, func(order []string) {
				into := t.TempDir()
				err := merge(t, into, order...)
				var f *fault.Error
				require.ErrorAs(t, err, &f)
				require.Equal(t, tc.want.Code, f.Code)
				require.ErrorContains(t, err, tc.want.Message)
				require.Contains(t, f.Expected, tc.want.Expected)
				require.Contains(t, f.Got, tc.want.Got)
				require.Equal(t, map[string]string{pipeline.LedgerName: ""}, tree(t, into), "nothing was taken")
				texts[fmt.Sprint(err, f.Expected, f.Got)] = true
			})
			require.Len(t, texts, 1, "the message does not depend on the order either")
		})
	}
}

func TestMergeOfNothing(t *testing.T) {
	t.Parallel()
	require.Equal(t, fault.MissingAsset, fault.CodeOf(merge(t, t.TempDir())))
}

// A file that the release's own folder holds with other bytes is not replaced.
func TestMergeOverwritesNothing(t *testing.T) {
	t.Parallel()
	_, dirs := jobs(t)
	into := t.TempDir()
	require.NoError(t, merge(t, into, dirs...))
	path := filepath.Join(into, "assets", "build", "a")
	require.NoError(t, os.WriteFile(path, []byte("mine"), 0o644))
	require.ErrorContains(t, merge(t, into, dirs...), "assets/build/a is not the same")
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "mine", string(data))
}

func rewrite(t *testing.T, dir, old, with string) {
	t.Helper()
	path := filepath.Join(dir, pipeline.LedgerName)
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Contains(t, string(data), old)
	require.NoError(t, os.WriteFile(path, bytes.ReplaceAll(data, []byte(old), []byte(with)), 0o644))
}

func line(t *testing.T, dir, text string) {
	t.Helper()
	f, err := os.OpenFile(filepath.Join(dir, pipeline.LedgerName), os.O_APPEND|os.O_WRONLY, 0o644)
	require.NoError(t, err)
	_, err = f.WriteString(text + "\n")
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
