package cli_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
)

// The scripts speak to the program that production runs: the magefiles,
// compiled by `mage -compile`, in a copy of this repository, so that what is
// edited meanwhile changes nothing. With -short those that release something
// are skipped; each says so in its first line. When all have run, the pages show
// what they printed.
func TestScripts(t *testing.T) {
	t.Parallel()
	source, err := filepath.Abs("../..")
	require.NoError(t, err)
	bin, root := t.TempDir(), filepath.Join(t.TempDir(), "repository")
	require.NoError(t, releasetest.Repository(source, root))
	require.NoError(t, os.Symlink(filepath.Join(source, "magefiles"), filepath.Join(root, "magefiles")))
	compiled, records := filepath.Join(t.TempDir(), "mage"), filepath.Join(t.TempDir(), "records")
	compile := exec.CommandContext(t.Context(), "go", "tool", "mage", "-compile", compiled)
	compile.Dir = source
	out, err := compile.CombinedOutput()
	require.NoError(t, err, "%s", out)
	recorder(t, filepath.Join(bin, "mage"), compiled, records)
	var before []string // what is printed while the world of the sessions is made
	seed := sync.OnceValues(func() (dist string, err error) {
		dist, before, err = seedWorld(root, compiled, filepath.Join(bin, "seeded"))
		return dist, err
	})
	whole := !testing.Short() && !strings.Contains(flag.Lookup("test.run").Value.String(), "/")
	t.Cleanup(func() {
		switch {
		case !whole:
			t.Log("not every session was asked for, so what they print is not compared with the pages")
		case !t.Failed():
			covered(t, recorded(t, records, before))
		}
	})
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Vars = append(env.Vars, outside()...) // later ones win
			env.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("ROOT", root)
			env.Setenv("BIN", bin)
			env.Values[snapshots{}] = map[string]string{}
			env.Setenv("MERO_DIST", filepath.Join(env.WorkDir, "dist"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "flip": flip, "disk": disk,
			"attempt": attempt, "snapshot": snapshot, "unchanged": unchanged,
			"seeded": func(ts *testscript.TestScript, neg bool, _ []string) { seeded(ts, neg, seed) }},
	})
}

// seedWorld rehearses what comes before the first release of a key service, its
// counterpart's release: the slowest part of a rehearsal, done once for all scripts.
// It returns what that printed, too.
func seedWorld(root, mage, dist string) (string, []string, error) {
	cmd := exec.Command(mage, "kms:version")
	cmd.Dir, cmd.Env = root, append(outside(), "MERO_DIST="+dist)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", nil, fmt.Errorf("%w\n%s", err, out)
	}
	printed := strings.Split(strings.ReplaceAll(string(out), dist, "dist"), "\n")
	return dist, printed, os.RemoveAll(filepath.Join(dist, "mero-kms-v0.1.0"))
}

// seeded makes $MERO_DIST a rehearsal in which the counterpart is released, and nothing else.
func seeded(ts *testscript.TestScript, neg bool, seed func() (string, error)) {
	if neg {
		ts.Fatalf("usage: seeded")
	}
	dist, err := seed()
	ts.Check(err)
	ts.Check(ts.Exec("cp", "-r", dist, ts.Getenv("MERO_DIST")))
}

// outside is this process's environment without what configures a release.
func outside() []string {
	var out []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if _, family, _ := strings.Cut(name, "MERO_"); family == "" && !strings.HasPrefix(name, "GITHUB_") {
			out = append(out, e)
		}
	}
	return out
}

// exits CODE command…: the command must end with exactly this exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE command [args…]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			ts.Fatalf("%v", err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s: exit code %d, not %d", strings.Join(args[1:], " "), got, want)
	}
}

// flip FILE changes one bit in the middle of a file.
func flip(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: flip FILE")
	}
	path := ts.MkAbs(args[0])
	data, err := os.ReadFile(path)
	ts.Check(err)
	data[len(data)/2] ^= 1
	ts.Check(os.WriteFile(path, data, 0o600))
}

// attempt command…: whatever code it ends with.
func attempt(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: attempt command [args…]")
	}
	var exit *exec.ExitError
	if err := ts.Exec(args[0], args[1:]...); err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
}

// snapshots is the key of a script's, by their names.
type snapshots struct{}

// snapshot NAME DIR… remembers what lies in folders, for unchanged.
func snapshot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: snapshot NAME DIR…")
	}
	ts.Value(snapshots{}).(map[string]string)[args[0]] = listing(ts, args[1:])
}

// unchanged NAME DIR… fails when something was made, removed or written in the folders since the snapshot.
func unchanged(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: unchanged NAME DIR…")
	}
	before, now := strings.Split(ts.Value(snapshots{}).(map[string]string)[args[0]], "\n"),
		strings.Split(listing(ts, args[1:]), "\n")
	for _, line := range now {
		if !slices.Contains(before, line) {
			ts.Fatalf("made or changed: %s", line)
		}
	}
	if len(before) != len(now) {
		ts.Fatalf("something was removed: %d files were there, and now %d", len(before), len(now))
	}
}

// listing has a line for each file: its path, mode, size and time.
func listing(ts *testscript.TestScript, dirs []string) string {
	var b strings.Builder
	for _, dir := range dirs {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			at := ""
			if info.Mode().IsRegular() { // what comes and goes in a folder changes its time
				at = fmt.Sprint(info.Size(), info.ModTime().UnixNano())
			}
			fmt.Fprintln(&b, path, info.Mode(), at)
			return nil
		}))
	}
	return b.String()
}

// disk FILE writes a small disk of a node's layout.
func disk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: disk FILE")
	}
	ts.Check(disktest.Make(disktest.Spec{}).WriteFile(ts.MkAbs(args[0])))
}
