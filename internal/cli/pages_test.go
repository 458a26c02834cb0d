package cli_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"mvdan.cc/sh/v3/shell"
)

// shown is a command that a page shows, and what it shows of what that prints.
type shown struct {
	page    string // from the root of the repository
	line    int
	command string   // without a comment behind it
	output  []string // "…" alone is what is left out, within a line too
}

func (s shown) String() string { return fmt.Sprintf("%s:%d: %s", s.page, s.line, s.command) }

// run is a command that a session of testdata/script ran.
type run struct {
	words []string // without "go tool mage"
	lines []string // what it printed, and "exit CODE"
}

// exitShown is how a page shows a command's exit code; what it prints is a run's last line.
const exitShown = `; echo "exit $?"`

// succeeded: the doctor does also when it finds that something is missing on this machine.
func (r run) succeeded() bool {
	return slices.Contains(r.lines, "exit 0") || r.words[0] == "doctor" && slices.Contains(r.lines, "exit 10")
}

// exception is why a command of a page is not run by a session.
type exception struct {
	page    string // "" for every page
	command string // a regular expression of the command's beginning
	why     string
	test    string // "folder.TestName", which tries the same otherwise
	itself  bool   // that test runs the page's commands, and compares what they print
	golden  string // a file of a test with what is printed: the page is compared with it
}

// elsewhere has no line that no page needs.
var elsewhere = []exception{
	{command: `MERO_ENVIRONMENT=production `, why: "it asks production's services"},
	{page: "README.md", command: `go tool mage test`, why: "it runs these tests"},
	{page: "README.md", command: `go tool mage release:node `, why: "it builds three images, for minutes; the CI runs it"},
	{page: "README.md", command: `go tool mage measurement:diff `, why: "it compares two such releases",
		golden: "internal/node/evidence/testdata/one-file.golden"},
	{page: "docs/migrate-policy.md", command: `go tool mage policy:migrate `, why: "it needs a second release",
		test: "internal/cli.TestMigrationDeletesOnlyItsOwn"},
	{page: "docs/node-image.md", command: `(go tool mage (node:build|measurement:diff)|\$EDITOR) `,
		why: "an example of a change of an image", test: "internal/node/evidence.TestOneFileChanged"},
	{page: "docs/node-image.md", command: `go tool mage node:boot `, why: "a machine is emulated, for minutes",
		test: "internal/node/boot.TestMeasurementsAreComparedOneByOne"},
	{page: "docs/node-image.md", command: `(sfdisk|mcopy|sha256sum|objcopy|cat|dd|veritysetup|unsquashfs) `,
		why: "programs of others read a disk of ours", test: "internal/attestation/measuredboot/disktest.TestToolsReadOurs"},
	{page: "docs/operate-node-agent.md", command: `(CGO_ENABLED=0 go build|\./mero-agent) `, why: "it needs a TD",
		test: "ansible/roles/agent/files/mero-agent.TestReportOnStandardOutput"},
	{page: "docs/verifying.md", command: `go tool mage verify:reproduce mero-kms-`,
		why:  "it needs the release of a commit, which the sessions' copy is not; the CI runs it",
		test: "internal/kms/image.TestDigestsAreTheSameEverywhere"},
	{page: "docs/verifying.md", command: `go tool mage verify:reproduce mero-tee-`, why: "it builds an image, for minutes",
		test: "internal/cli.TestNodeImagesBuiltAgain"},
	{page: "docs/verifying.md", command: `go tool mage rehearse:up`, why: "it goes on until it is interrupted",
		test: "internal/cli.TestTheWorldIsReachedByWhatIsPrinted"},
	{page: "docs/verifying.md", command: `jq `, why: "a program of others reads an SBOM of ours",
		test: "internal/artifact/sbom.TestPackagesHaveTheirPackageURLs"},
	{page: "docs/verifying.md", command: `crane `, why: "a program of others, and an address of the moment"},
	{page: "docs/releasing.md", command: `gcloud `, why: "it sets up Google Cloud"},
	{page: "docs/releasing.md", command: `gh `, why: "it sets up a repository at GitHub"},
	{page: "docs/releasing.md", command: `git (switch|cherry-pick) `, why: "an example of a branch",
		test: "internal/pipeline/plan.TestHotfix"},
	{page: "docs/releases/README.md", command: `git (switch|cherry-pick) `, why: "an example of a branch",
		test: "internal/pipeline/plan.TestHotfix"},
	{page: "docs/verify-with-cosign.md", command: `cosign `,
		why:  "a program of others, tried by the function that it calls",
		test: "internal/artifact/sign.TestCosignAcceptsWhatWeSign"},
	{page: "docs/provenance.md", command: `cosign `, why: "a program of others, tried by the function that it calls",
		test: "internal/artifact/sign.TestStatements"},
	{page: "docs/provenance.md", command: `gh attestation `, why: "a program of others, tried by the rules of its source",
		test: "internal/artifact/sign.TestStatements"},
	{page: "docs/operate-kms.md", command: `(curl|MERO_KMS_VERSION=)`, why: "a test of the service runs it from the page",
		test: "docker/mero-kms.TestThePageIsTrue", itself: true},
	{page: "docs/operate-kms.md", command: `docker `, why: "it needs Docker and a public image"},
	{page: "docs/catalog.md", command: `go tool mage catalog:show`, why: "a catalog after some releases",
		golden: "catalog/testdata/matrix.txt"},
	{page: "docs/policies.md", command: `go tool mage policy:promote `, why: "policies after some releases",
		golden: "policies/diff/testdata/table.txt"},
}

var (
	fence  = regexp.MustCompile("^( *)```(.*)$")
	prompt = regexp.MustCompile(`^\$ `)
	// words with which a line of a block begins that has no prompts and no language of a shell.
	program = regexp.MustCompile(`^(?:[A-Z_]+=\S+ )*(?:go tool mage|cosign|gh|git|gcloud|curl|docker|crane|unshare) `)
)

// commands collects what the fenced blocks of a page show, and says which block is in no language.
func commands(page, text string) (out []shown, wrong []string) {
	var block []string
	margin, language, begin, inside := "", "", 0, false
	for i, line := range strings.Split(text, "\n") {
		m := fence.FindStringSubmatch(line)
		switch {
		case m != nil && !inside:
			inside, begin, margin, language, block = true, i+1, m[1], m[2], nil
			if language == "" {
				wrong = append(wrong, fmt.Sprintf("%s:%d: a block without a language", page, i+1))
			}
		case m != nil:
			inside = false
			out = append(out, ofBlock(page, language, begin, block)...)
		case inside:
			block = append(block, strings.TrimPrefix(line, margin))
		}
	}
	return out, wrong
}

// ofBlock are the commands of one block. With prompts what follows a command is its output.
func ofBlock(page, language string, begin int, block []string) (out []shown) {
	prompts := slices.ContainsFunc(block, prompt.MatchString)
	for i := 0; i < len(block); i++ {
		s := shown{page: page, line: begin + i + 1}
		line := block[i]
		switch isCommand := prompt.MatchString(line); {
		case prompts && !isCommand:
			if len(out) > 0 && line != "" {
				last := &out[len(out)-1]
				last.output = append(last.output, line)
			}
			continue
		case prompts:
			line = prompt.ReplaceAllString(line, "")
		case language == "sh" || language == "start":
		case !program.MatchString(line):
			continue
		}
		for strings.HasSuffix(line, `\`) && i+1 < len(block) {
			i++
			line = strings.TrimSuffix(line, `\`) + strings.TrimSpace(block[i])
		}
		if line = strings.TrimSpace(comment.ReplaceAllString(line, "")); line != "" {
			s.command = line
			out = append(out, s)
		}
	}
	return out
}

var comment = regexp.MustCompile(`(^|\s)#\s.*$`)

// What differs from one run to the next, in the order in which it is looked for.
var varying = []struct {
	what *regexp.Regexp
	as   string
}{
	{regexp.MustCompile(`\b\d{4}-\d\d-\d\d(?:T[0-9:.]+Z)?`), "DAY"},
	{regexp.MustCompile(`\b[0-9a-f]{8,}\b…?`), "HEX"},
	{regexp.MustCompile(`v?\d+\.\d+\.\d+(?:-rc\.\d+)?\b`), "VERSION"},
	{regexp.MustCompile(`\b\d+\.\d\d s\b`), "TIME"},
	{regexp.MustCompile(`#\d+\b|/pull/\d+\b`), "NUMBER"},
	{regexp.MustCompile(`\s+`), " "},
}

func plain(line string) string {
	for _, v := range varying {
		line = v.what.ReplaceAllString(line, v.as)
	}
	return strings.TrimSpace(line)
}

// inOrder says which line of a page is not in the printed ones, after those before it; "" for none.
func inOrder(output, printed []string) string {
	at := 0
	for _, line := range output {
		if strings.TrimSpace(line) == "…" {
			continue
		}
		var parts []string
		for part := range strings.SplitSeq(plain(line), "…") {
			parts = append(parts, regexp.QuoteMeta(part))
		}
		want := regexp.MustCompile("^" + strings.Join(parts, ".*") + "$")
		i := slices.IndexFunc(printed[at:], func(s string) bool { return want.MatchString(plain(s)) })
		if i < 0 {
			return line
		}
		at += i + 1
	}
	return ""
}

// sameCommand says whether a session ran what a page shows. A word of capital letters stands for any.
func sameCommand(command string, r run) bool {
	command, _ = strings.CutSuffix(command, exitShown)
	command, _, _ = strings.Cut(command, " > ")
	words, err := shell.Fields(command, nil)
	if err != nil || len(words) < 4 || strings.Join(words[:3], " ") != "go tool mage" || len(words)-3 != len(r.words) {
		return false
	}
	for i, word := range words[3:] {
		if !sameWord(word, r.words[i]) {
			return false
		}
	}
	return true
}

func sameWord(shown, ran string) bool {
	name, value, valued := strings.Cut(shown, "=")
	switch {
	case valued && capitals.MatchString(value):
		return strings.HasPrefix(ran, name+"=")
	case capitals.MatchString(shown):
		return !strings.HasPrefix(ran, "-")
	}
	return plain(shown) == plain(ran)
}

var capitals = regexp.MustCompile(`^[A-Z]+$`)

// uncovered says which commands of the pages no run shows and no exception excuses, and which exceptions nobody needs.
// plain commands of the shell are those that sessions run beside ours.
func uncovered(all []shown, runs []run, shells []string, exceptions []exception) (wrong []string) {
	used := map[int]bool{}
	for _, s := range all {
		reason := "no session runs it"
		ran := slices.Contains(shells, s.command)
		for _, r := range runs {
			if !sameCommand(s.command, r) {
				continue
			}
			missing := inOrder(s.output, r.lines)
			if missing == "" && (r.succeeded() || strings.HasSuffix(s.command, exitShown)) {
				ran = true
				break
			}
			reason = "no session in which it succeeds, and the page does not say that it fails"
			if missing != "" {
				reason = "it does not print, after the lines before it: " + missing
			}
		}
		for i, e := range exceptions {
			if (e.page != "" && e.page != s.page) || !regexp.MustCompile("^(?:"+e.command+")").MatchString(s.command) {
				continue
			}
			used[i] = true
			if ran {
				wrong = append(wrong, s.String()+": a session runs it, so that it is no exception")
			}
			ran = true
		}
		if !ran {
			wrong = append(wrong, s.String()+": "+reason)
		}
	}
	for i, e := range exceptions {
		if !used[i] {
			wrong = append(wrong, fmt.Sprintf("the exception %q of %q is nobody's", e.command, e.page))
		}
	}
	return wrong
}

// pages are README.md and docs/, read whole; what is generated for a release, and templates, are none of them.
func pages(t *testing.T, root string) (all []shown) {
	t.Helper()
	names := []string{"README.md", "docs/releases/README.md"}
	found, err := filepath.Glob(filepath.Join(root, "docs", "*.md"))
	require.NoError(t, err)
	for _, name := range found {
		names = append(names, "docs/"+filepath.Base(name))
	}
	require.Greater(t, len(names), 20)
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		some, wrong := commands(name, string(data))
		require.Empty(t, wrong)
		all = append(all, some...)
	}
	return all
}

// recorder is a program in the place of the compiled targets: it runs them, and keeps in the folder records what was
// called, printed and returned.
func recorder(t *testing.T, path, compiled, records string) {
	t.Helper()
	require.NoError(t, os.Mkdir(records, 0o755))
	script := fmt.Sprintf(`#!/bin/sh
d=$(mktemp -d %q/XXXXXXXX) || exit 99
printf '%%s\n' "$@" > "$d/words"
printf '%%s\n' "$WORK" "$MERO_DIST" "$MERO_ENVIRONMENT$GITHUB_ACTIONS$MERO_KMS_VERSION$MERO_TEE_VERSION" > "$d/where"
%q "$@" > "$d/out" 2> "$d/err"
code=$?
echo "exit $code" > "$d/code"
cat "$d/out"
cat "$d/err" >&2
exit $code
`, records, compiled)
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
}

// recorded are the runs of a folder of records that had no variables of their own. A release's begin with what was
// printed before its session, when its world was made: that is what it would have done first.
func recorded(t *testing.T, records string, before []string) (runs []run) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(records, "*"))
	require.NoError(t, err)
	for _, dir := range dirs {
		where := strings.Split(read(t, dir, "where"), "\n")
		if where[2] != "" {
			continue
		}
		own := strings.NewReplacer(where[1], "dist", where[0]+"/", "")
		r := run{words: strings.Split(strings.TrimSuffix(own.Replace(read(t, dir, "words")), "\n"), "\n")}
		if r.words[0] == "release:kms" {
			r.lines = before
		}
		for _, name := range []string{"out", "err", "code"} {
			r.lines = append(slices.Clip(r.lines), strings.Split(own.Replace(read(t, dir, name)), "\n")...)
		}
		runs = append(runs, r)
	}
	return runs
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(data)
}

var shellCall = regexp.MustCompile(`(?m)^exec sh -c '([^'\n]+)'$`)

// shellCalls are the commands of the shell that the sessions in a folder run, as a page would write them.
func shellCalls(t *testing.T, dir string) (out []string) {
	t.Helper()
	scripts, err := filepath.Glob(filepath.Join(dir, "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, scripts)
	for _, script := range scripts {
		for _, m := range shellCall.FindAllStringSubmatch(read(t, "", script), -1) {
			out = append(out, strings.NewReplacer("$MERO_DIST", "dist", "$WORK/", "").Replace(m[1]))
		}
	}
	return out
}

// "Every command shown in README.md and docs/ is run by a test and its output compared": by the sessions, which are
// recorded for it, or else there is a reason. It is called when a test cleans up, where FailNow would say nothing.
func covered(t *testing.T, runs []run) {
	t.Helper()
	for _, what := range uncovered(pages(t, "../.."), runs, shellCalls(t, "testdata/script"), elsewhere) {
		t.Error(what)
	}
}

// An exception is no excuse for what is shown: the test that it names exists, and the golden file has the page's lines.
func TestExceptionsOfPages(t *testing.T) {
	t.Parallel()
	all := pages(t, "../..")
	require.Greater(t, len(all), 60)
	sources := said(t)
	for _, e := range elsewhere {
		require.NotEmpty(t, e.why)
		if e.test != "" {
			folder, name, _ := strings.Cut(e.test, ".")
			files, err := filepath.Glob(filepath.Join("../..", folder, "*_test.go"))
			require.NoError(t, err)
			require.True(t, slices.ContainsFunc(files, func(file string) bool {
				data, err := os.ReadFile(file)
				return err == nil && strings.Contains(string(data), "\nfunc "+name+"(")
			}), "there is no test %s", e.test)
		}
		for _, s := range all {
			if s.page != e.page || !regexp.MustCompile("^(?:"+e.command+")").MatchString(s.command) {
				continue
			}
			if e.golden == "" && !e.itself {
				require.Empty(t, unsaid(s.output, sources), "%s: nothing in the sources says so", s)
			}
			if e.golden == "" {
				continue
			}
			require.NotEmpty(t, s.output, s)
			golden := strings.Split(read(t, "../..", e.golden), "\n")
			require.Empty(t, inOrder(s.output, golden), "%s is not in %s", s, e.golden)
		}
	}
}

// said is the text of what prints: our programs, and the roles that Ansible names while it applies them.
func said(t *testing.T) string {
	t.Helper()
	var b strings.Builder
	for _, root := range []string{"internal", "docker", "ansible"} {
		require.NoError(t, filepath.WalkDir(filepath.Join("../..", root), func(path string, e fs.DirEntry, err error) error {
			source := strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".yml")
			if err != nil || e.IsDir() || !source {
				return err
			}
			b.WriteString(read(t, "", path))
			return nil
		}))
	}
	return b.String()
}

// unsaid is the first line of which the sources, where values stand between the words, have no three words that follow
// each other and no two long ones; "" for none. No more can be known of what is printed where nothing can be run.
func unsaid(output []string, sources string) string {
	for _, line := range output {
		words := strings.Fields(foreign.ReplaceAllString(line, ""))
		found := strings.TrimSpace(line) == "…"
		for i := 0; i < len(words) && !found; i++ {
			next := func(n int) string { return strings.TrimRight(strings.Join(words[i:min(i+n, len(words))], " "), ":;,") }
			found = (i == 0 || i+3 <= len(words)) && strings.Contains(sources, next(3)) ||
				len(next(2)) >= 12 && strings.Contains(sources, next(2))
		}
		if !found {
			return line
		}
	}
	return ""
}

// foreign is what no text of ours holds: who says a line, and addresses.
var foreign = regexp.MustCompile(`^\[[A-Z]+\] (?:[a-z]+:[a-z0-9/-]+: )?|https://\S+`)

func TestUnsaid(t *testing.T) {
	t.Parallel()
	const sources = `Infof("%s: two boots and a reboot agree", x); Infof("done")`
	require.Empty(t, unsaid([]string{"[INFO] node:measure/debug: two boots and a reboot agree", "  …",
		"[INFO] done https://a.example/b"}, sources))
	require.Equal(t, "three boots agree now", unsaid([]string{"done", "three boots agree now"}, sources))
	require.Equal(t, "two boats", unsaid([]string{"reboot agree", "two boats"}, sources))
}

func TestCollectingCommands(t *testing.T) {
	t.Parallel()
	found, wrong := commands("a.md", "# A\n\n"+
		"```sh\ngo tool mage ci   # all of it\n\n# nothing but words\nA=b x \\\n  y\n```\n\n1. In a list:\n\n"+
		"   ```text\n   $ go tool mage doctor; echo \"exit $?\"\n   [PASS] a\n     b\n\n   …\n   $ ls #1\n   ```\n\n"+
		"```text\nplain words\ngo tool mage lint -x\n```\n\n```json\n{}\n```\n\n```\nnothing\n```\n")
	require.Equal(t, []shown{{"a.md", 4, "go tool mage ci", nil}, {"a.md", 7, "A=b x y", nil},
		{"a.md", 14, `go tool mage doctor; echo "exit $?"`, []string{"[PASS] a", "  b", "…"}}, {"a.md", 19, "ls #1", nil},
		{"a.md", 24, "go tool mage lint -x", nil}}, found)
	require.Equal(t, []string{"a.md:31: a block without a language"}, wrong)
}

// A page that shows what nobody runs, or what is not printed, is found out, and so is an exception without a use.
func TestPagesThatLie(t *testing.T) {
	t.Parallel()
	runs := []run{
		{words: []string{"verify:release", "mero-kms-v0.1.0", "-offline=dist/a"},
			lines: []string{"[PASS] one", "[FAIL] two: 0123456789abcdef", "       Got:      x y", "took 1.25 s", "exit 10"}},
		{words: []string{"verify:release", "mero-kms-v0.1.0", "-offline=dist/a"},
			lines: []string{"[PASS] one", "[PASS] two: 0123456789abcdef", "took 1.25 s", "exit 0"}},
		{words: []string{"doctor"}, lines: []string{"exit 10"}},
		{words: []string{"release:new"}, lines: []string{"[FAIL] new", "exit 2"}},
		{words: []string{"release:plan"}, lines: []string{"exit 0"}}}
	exceptions := []exception{{page: "b.md", command: "gcloud ", why: "so"}}
	gcloud := shown{page: "b.md", command: "gcloud x"}
	for name, tc := range map[string]struct {
		shown shown
		want  string
	}{
		"as it is": {shown{command: `go tool mage verify:release mero-kms-v0.1.0 -offline=DIR; echo "exit $?"`,
			output: []string{"…", "[FAIL] two: fedcba98…", "       Got: x y", "…", "took 2.50 s", "exit 10"}}, ""},
		"another version": {shown{command: "go tool mage verify:release mero-kms-v1.2.0 -offline=DIR > FILE"}, ""},
		"a gap in a line": {shown{command: "go tool mage verify:release TAG -offline=DIR",
			output: []string{"[PASS] … HEX"}}, ""},
		"a doctor who finds something": {shown{command: "go tool mage doctor"}, ""},
		"what only fails":              {shown{command: "go tool mage release:new"}, "no session in which it succeeds"},
		"what fails so": {shown{command: "go tool mage release:new", output: []string{"[FAIL] new"}},
			"no session in which it succeeds"},
		"a command of the shell": {shown{command: "echo >> dist/a"}, ""},
		"nobody runs it":         {shown{command: "go tool mage release:plan -tag=TAG"}, "no session runs it"},
		"another target":         {shown{command: "go tool mage release:status"}, "no session runs it"},
		"another flag": {shown{command: "go tool mage verify:release TAG -trust=FILE"},
			"no session runs it"},
		"an argument for a flag": {shown{command: "go tool mage verify:release TAG FILE"}, "no session runs it"},
		"another shell command":  {shown{command: "echo >> dist/b"}, "no session runs it"},
		"what no shell parses":   {shown{command: "go tool mage release:plan '"}, "no session runs it"},
		"a line that is not printed": {shown{command: "go tool mage release:plan", output: []string{"[PASS] one"}},
			"it does not print, after the lines before it: [PASS] one"},
		"another order": {shown{command: "go tool mage verify:release TAG -offline=DIR",
			output: []string{"took 1.00 s", "[PASS] one"}}, "after the lines before it: [PASS] one"},
		"another exit code": {shown{command: "go tool mage release:plan", output: []string{"exit 1"}}, "exit 1"},
		"half a line": {shown{command: "go tool mage verify:release TAG -offline=DIR", output: []string{"[PASS]"}},
			"[PASS]"},
		"an exception of another page": {shown{page: "c.md", command: "gcloud y"}, "no session runs it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found := uncovered([]shown{tc.shown, gcloud}, runs, []string{"echo >> dist/a"}, exceptions)
			if tc.want == "" {
				require.Empty(t, found)
				return
			}
			require.Len(t, found, 1)
			require.Contains(t, found[0], tc.want)
		})
	}
	require.Equal(t, []string{`the exception "gcloud " of "b.md" is nobody's`}, uncovered(nil, runs, nil, exceptions))
	require.Equal(t, []string{"b.md:0: gcloud x: a session runs it, so that it is no exception"},
		uncovered([]shown{gcloud}, runs, []string{"gcloud x"}, exceptions))
}
