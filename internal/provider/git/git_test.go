package git_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// repository is a work tree with the commits "one" (tag v1), "two (#12)" and a third.
func repository(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	at(t, dir, 1_700_000_000, "init", "-q", "-b", "main")
	write(t, dir, "a.txt", "1\n")
	write(t, dir, ".gitignore", "dist/\n")
	at(t, dir, 1_700_000_000, "add", ".")
	at(t, dir, 1_700_000_000, "commit", "-q", "-m", "one")
	at(t, dir, 1_700_000_000, "tag", "v1")
	at(t, dir, 1_700_000_100, "commit", "-q", "--allow-empty", "-m", "two (#12)", "-m",
		"A body\nwith lines.\n\nBREAKING CHANGE: yes")
	at(t, dir, 1_700_000_200, "commit", "-q", "--allow-empty", "--author=Zoë <z@example.org>", "-m",
		"Merge pull request #7 from x/y")
	at(t, dir, 1_700_000_200, "tag", "v2-light")
	at(t, dir, 1_700_000_200, "tag", "-a", "-m", "annotated", "v2")
	return dir
}

func at(t *testing.T, dir string, unix int64, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git",
		append([]string{"-C", dir, "-c", "commit.gpgSign=false", "-c", "tag.gpgSign=false"}, args...)...)
	when := time.Unix(unix, 0).UTC().Format(time.RFC3339)
	cmd.Env = append(git.Environment(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_AUTHOR_NAME=Ann",
		"GIT_AUTHOR_EMAIL=a@example.org", "GIT_COMMITTER_NAME=Ann",
		"GIT_COMMITTER_EMAIL=a@example.org", "GIT_AUTHOR_DATE="+when, "GIT_COMMITTER_DATE="+when)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func write(t *testing.T, dir, name, content string) {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

// Not parallel: it changes the process environment, as a hook of git's does for its children.
func TestTheFolderAloneSaysWhichRepositoryIsAsked(t *testing.T) {
	ours, other := repository(t), t.TempDir()
	at(t, other, 1_700_000_000, "init", "-q", "-b", "main")
	head, err := git.Head(t.Context(), ours)
	require.NoError(t, err)
	listed, err := exec.CommandContext(t.Context(), "git", "rev-parse", "--local-env-vars").Output()
	require.NoError(t, err)
	others := []string{"GIT_CEILING_DIRECTORIES", "GIT_LITERAL_PATHSPECS", "GIT_ICASE_PATHSPECS", "GIT_GLOB_PATHSPECS",
		"GIT_NOGLOB_PATHSPECS", "GIT_ATTR_SOURCE", "GIT_REDIRECT_STDOUT", "GIT_TRACE"}
	for _, name := range append(strings.Fields(string(listed)), others...) {
		t.Run(name, func(t *testing.T) {
			value := filepath.Join(other, ".git")
			if strings.HasSuffix(name, "_PATHSPECS") {
				value = "1"
			}
			t.Setenv(name, map[string]string{"GIT_CONFIG_COUNT": "x", "GIT_CONFIG_PARAMETERS": "x"}[name]+value)
			got, err := git.Head(t.Context(), ours)
			require.NoError(t, err)
			require.Equal(t, head, got)
			_, err = git.LastChange(t.Context(), ours, "a.txt")
			require.NoError(t, err)
			data, err := git.File(t.Context(), ours, "HEAD", "a.txt")
			require.NoError(t, err)
			require.Equal(t, "1\n", string(data))
		})
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	head, err := git.Head(t.Context(), dir)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{40}$`, head.Hash)
	require.Equal(t, time.Unix(1_700_000_200, 0).UTC(), head.Time)
	_, err = git.Head(t.Context(), t.TempDir())
	require.ErrorContains(t, err, "not a git repository")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = git.Head(ctx, dir)
	require.ErrorIs(t, err, context.Canceled)
}

func TestDirty(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	clean, err := git.Dirty(t.Context(), dir)
	require.NoError(t, err)
	require.Empty(t, clean)
	write(t, dir, "dist/ignored", "x")
	write(t, dir, "new dir/wörld.txt", "x")
	write(t, dir, "a.txt", "2\n")
	dirty, err := git.Dirty(t.Context(), dir)
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"a.txt", "new dir/wörld.txt"}, dirty)
	require.NoError(t, os.Remove(filepath.Join(dir, "a.txt")))
	dirty, err = git.Dirty(t.Context(), dir)
	require.NoError(t, err)
	require.Contains(t, dirty, "a.txt")
}

// Neither this clone nor its user says what is not looked at.
func TestDirtyLooksAtEverything(t *testing.T) {
	t.Parallel()
	type change func(run func(args ...string), dir string)
	edited := func(how string) change {
		return func(run func(args ...string), dir string) {
			write(t, dir, "a.txt", "changed\n")
			run("update-index", how, "a.txt")
		}
	}
	for name, tc := range map[string]struct {
		change change
		want   string
	}{
		"assumed to be unchanged": {edited("--assume-unchanged"), "a.txt"},
		"not to be looked at":     {edited("--skip-worktree"), "a.txt"},
		"ignored in this clone": {func(_ func(args ...string), dir string) {
			write(t, dir, ".git/info/exclude", "*.go\n")
			write(t, dir, "sub/new.go", "package sub\n")
		}, "sub/new.go"},
		"ignored by the user": {func(run func(args ...string), dir string) {
			ignored := filepath.Join(t.TempDir(), "ignore")
			require.NoError(t, os.WriteFile(ignored, []byte("*.go\n"), 0o600))
			run("config", "core.excludesFile", ignored)
			write(t, dir, "new.go", "package new\n")
		}, "new.go"},
		"ignored by a file that ignores itself": {func(_ func(args ...string), dir string) {
			write(t, dir, "sub/.gitignore", "*\n")
			write(t, dir, "sub/new.go", "package sub\n")
			write(t, dir, "dist/sub/.gitignore", "*\n") // in a folder that is ignored anyhow
		}, "sub/.gitignore"},
		"a name in another case": {func(run func(args ...string), dir string) {
			run("config", "core.ignoreCase", "true")
			write(t, dir, "A.TXT", "1\n")
		}, "A.TXT"},
		"a file of the same size and time": {func(run func(args ...string), dir string) {
			before := time.Unix(1_700_000_000, 0)
			require.NoError(t, os.Chtimes(filepath.Join(dir, "a.txt"), before, before))
			run("update-index", "--refresh")
			run("config", "core.checkStat", "minimal")
			run("config", "core.trustctime", "false")
			write(t, dir, "a.txt", "2\n")
			require.NoError(t, os.Chtimes(filepath.Join(dir, "a.txt"), before, before))
		}, "a.txt"},
		"the ends of lines, as the user likes them": {func(run func(args ...string), dir string) {
			run("config", "core.autocrlf", "true")
			require.NoError(t, os.Remove(filepath.Join(dir, "a.txt")))
			run("checkout", "--", "a.txt")
		}, "a.txt"},
		"the ends of lines, as an attribute says": {func(run func(args ...string), dir string) {
			attributes := filepath.Join(t.TempDir(), "attributes")
			require.NoError(t, os.WriteFile(attributes, []byte("*.txt text eol=crlf\n"), 0o600))
			run("config", "core.attributesFile", attributes)
			require.NoError(t, os.Remove(filepath.Join(dir, "a.txt")))
			run("checkout", "--", "a.txt")
		}, "a.txt"},
		"attributes of this clone": {func(_ func(args ...string), dir string) {
			write(t, dir, ".git/info/attributes", "# none\n*.txt filter=x\n")
		}, ".git/info/attributes"},
		"a file in the place of a link": {func(run func(args ...string), dir string) {
			require.NoError(t, os.Symlink("a.txt", filepath.Join(dir, "link")))
			run("add", "link")
			run("commit", "-q", "-m", "a link")
			run("config", "core.symlinks", "false")
			require.NoError(t, os.Remove(filepath.Join(dir, "link")))
			write(t, dir, "link", "a.txt")
		}, "link"},
		"what is only staged": {func(run func(args ...string), dir string) {
			write(t, dir, "a.txt", "2\n")
			run("add", "a.txt")
			write(t, dir, "a.txt", "1\n")
		}, "a.txt"},
		"a mode": {func(run func(args ...string), dir string) {
			run("config", "core.fileMode", "false")
			require.NoError(t, os.Chmod(filepath.Join(dir, "a.txt"), 0o755))
		}, "a.txt"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := repository(t)
			tc.change(func(args ...string) { at(t, dir, 1_700_000_300, args...) }, dir)
			dirty, err := git.Dirty(t.Context(), dir)
			require.NoError(t, err)
			require.Equal(t, []string{tc.want}, dirty)
		})
	}
}

func TestFilesThatLieElsewhereAreNotJudged(t *testing.T) {
	t.Parallel()
	dir, elsewhere := repository(t), t.TempDir()
	write(t, dir, "sub/new", "x")
	dirty, err := git.Dirty(t.Context(), filepath.Join(dir, "sub"))
	require.NoError(t, err)
	require.Equal(t, []string{"sub/new"}, dirty, "of a folder within it, the whole tree")
	at(t, dir, 1_700_000_300, "config", "core.worktree", elsewhere)
	_, err = git.Dirty(t.Context(), dir)
	require.ErrorContains(t, err, "git looks at another folder")
}

func TestTags(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	tags, err := git.Tags(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, []string{"v2", "v2-light"}, tags)
}

func TestLog(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	log, err := git.Log(t.Context(), dir, "v1", "v2")
	require.NoError(t, err)
	require.Len(t, log, 2)
	require.Regexp(t, `^[0-9a-f]{40}$`, log[0].Hash)
	first, err := git.Log(t.Context(), dir, "", "v1")
	require.NoError(t, err)
	parents := [][]string{{log[1].Hash}, {first[0].Hash}}
	log[0].Hash, log[1].Hash = "", ""
	require.Equal(t, []git.Entry{
		{Subject: "Merge pull request #7 from x/y", Author: "Zoë", PR: 7, Parents: parents[0]},
		{Subject: "two (#12)", Body: "A body\nwith lines.\n\nBREAKING CHANGE: yes", Author: "Ann", PR: 12,
			Parents: parents[1]},
	}, log)
	all, err := git.Log(t.Context(), dir, "", "HEAD")
	require.NoError(t, err)
	require.Len(t, all, 3)
	none, err := git.Log(t.Context(), dir, "HEAD", "HEAD")
	require.NoError(t, err)
	require.Empty(t, none)
}

// Signatures, colours, decorations and the user's log format must not reach the answers.
func TestConfigurationDoesNotChangeAnswers(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	want, err := git.Log(t.Context(), dir, "v1", "HEAD")
	require.NoError(t, err)
	for name, value := range map[string]string{"color.ui": "always", "log.decorate": "full", "log.showSignature": "true",
		"format.pretty": "fuller",
		"status.short":  "true", "status.branch": "true", "column.ui": "always", "core.quotePath": "true",
		"status.showUntrackedFiles": "no", "tag.sort": "-refname"} {
		at(t, dir, 1_700_000_000, "config", name, value)
	}
	got, err := git.Log(t.Context(), dir, "v1", "HEAD")
	require.NoError(t, err)
	require.Equal(t, want, got)
	tags, err := git.Tags(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, []string{"v2", "v2-light"}, tags)
	clean, err := git.Dirty(t.Context(), dir)
	require.NoError(t, err)
	require.Empty(t, clean)
	write(t, dir, "new", "x")
	dirty, err := git.Dirty(t.Context(), dir)
	require.NoError(t, err)
	require.Equal(t, []string{"new"}, dirty)
}

func TestHostileRevisions(t *testing.T) {
	t.Parallel()
	dir := repository(t)
	out := filepath.Join(t.TempDir(), "out")
	for _, rev := range []string{"--output=" + out, "-1", "", "none", "v1..v2", "$(touch " + out + ")", ":/one\x00"} {
		_, err := git.Log(t.Context(), dir, rev+"x", "HEAD")
		require.Error(t, err, rev)
		_, err = git.Log(t.Context(), dir, "", rev)
		require.Error(t, err, rev)
		_, err = git.SinceBase(t.Context(), dir, rev)
		require.Error(t, err, rev)
	}
	require.NoFileExists(t, out)
}
