package workflow_test

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func page(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../../" + name)
	require.NoError(t, err)
	return string(data)
}

var (
	namespaced = regexp.MustCompile(
		`(?:go tool mage |\b)((?:e2e|kms|node|release|verify|guard|policy|catalog|config|measurement|rehearse):[A-Za-z0-9]+)`)
	bare = regexp.MustCompile(`go tool mage ([a-z][A-Za-z0-9:]*)`)
)

// readers are the pages for people, from the root of the repository.
func readers(t *testing.T) []string {
	t.Helper()
	out := []string{"docs/releases/README.md"}
	files, err := filepath.Glob("../../../docs/*.md")
	require.NoError(t, err)
	require.Greater(t, len(files), 18)
	for _, file := range files {
		out = append(out, "docs/"+filepath.Base(file))
	}
	return out
}

// "Commands that exist only."
func TestPagesNameTargetsThatExist(t *testing.T) {
	t.Parallel()
	all := targets(t)
	for _, name := range append(readers(t), "README.md", "CONTRIBUTING.md", "SECURITY.md") {
		text := page(t, name)
		found := append(namespaced.FindAllStringSubmatch(text, -1), bare.FindAllStringSubmatch(text, -1)...)
		if name == "docs/commands.md" || name == "README.md" {
			require.NotEmpty(t, found)
		}
		for _, m := range found {
			require.Contains(t, all, strings.ToLower(m[1]), name)
		}
	}
}

var (
	indexed = regexp.MustCompile(`\]\(([^)#]+\.md)\)`)
	title   = regexp.MustCompile(`\A(?:<!--[^\n]*-->\n)?# [^\n]+\n\n([^\n]+)\n`)
)

// The index of README.md has each page exactly once.
func TestTheIndexHasEachPageOnce(t *testing.T) {
	t.Parallel()
	_, index, found := strings.Cut(page(t, "README.md"), "\n## Where to look\n")
	require.True(t, found)
	var listed []string
	for _, m := range indexed.FindAllStringSubmatch(index, -1) {
		listed = append(listed, m[1])
	}
	require.ElementsMatch(t, append(readers(t), "packer/README.md", "ansible/README.md", "CONTRIBUTING.md", "SECURITY.md",
		"CHANGELOG.md"), listed)
	var verbs []string
	for _, m := range regexp.MustCompile(`(?m)^\| \*\*(\w+)\*\*`).FindAllStringSubmatch(index, -1) {
		verbs = append(verbs, m[1])
	}
	require.Equal(t, []string{"understand", "rehearse", "verify", "release", "operate", "change", "develop"}, verbs)
}

// Two commands do everything on a machine that has just been made, and they are the first that a newcomer reads.
func TestTheReadmeBeginsWithTwoCommands(t *testing.T) {
	t.Parallel()
	_, block, _ := strings.Cut(page(t, "README.md"), "```sh\n")
	block, _, _ = strings.Cut(block, "```")
	var commands []string
	for line := range strings.Lines(block) {
		command, _, _ := strings.Cut(line, "#")
		commands = append(commands, strings.TrimSpace(command))
	}
	require.Equal(t, []string{"go tool mage release:kms", "go tool mage test"}, commands)
}

// Each page begins with one sentence that says for whom it is.
func TestPagesSayForWhomTheyAre(t *testing.T) {
	t.Parallel()
	for _, name := range readers(t) {
		first := title.FindStringSubmatch(page(t, name))
		require.NotNil(t, first, "%s does not begin with a title and a line of text", name)
		require.Regexp(t, `^For [^.:]+[.;]( \w[^.]+\.)?$`, first[1], name)
	}
}

// "Every variable, secret, permission, environment and branch rule."
func TestReleasingNamesAllThatIsToBeSetUp(t *testing.T) {
	t.Parallel()
	text := page(t, "docs/releasing.md")
	for _, v := range config.Variables() {
		switch v.Kind {
		case config.KindVariable:
			require.Contains(t, text, "gh variable set "+v.Name+" ")
		case config.KindSecret:
			require.Regexp(t, "gh secret set "+v.Name+`\s|- `+"`"+v.Name+"`", text)
		}
	}
	// That the role has these permissions and no other is held by the local Compute Engine's tests.
	for _, name := range append(googles, gce.ReleasePermissions()...) {
		require.Contains(t, text, name)
	}
	for _, name := range []string{kms, node, auditor, guard, ci} {
		require.Contains(t, text, "| "+strings.TrimSuffix(name, ".yaml")+" |")
	}
	require.Contains(t, text, "**release-auditor**")
}

var (
	link     = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^#+ (.+)$`)
	unlinked = regexp.MustCompile("(?ms)^ *```.*?^ *```$|`[^`\n]*`")
	dropped  = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// broken are the links of a page to files and headings that there are not. read is nil for no such file.
func broken(name, text string, read func(name string) []byte) (out []string) {
	for _, m := range link.FindAllStringSubmatch(unlinked.ReplaceAllString(text, ""), -1) {
		if strings.Contains(m[1], "://") {
			continue
		}
		file, anchor, _ := strings.Cut(m[1], "#")
		to := name
		if file != "" {
			to = path.Join(path.Dir(name), file)
		}
		data := read(to)
		found := data != nil
		if anchor != "" {
			found = slices.ContainsFunc(heading.FindAllStringSubmatch(string(data), -1), func(h []string) bool {
				return strings.ReplaceAll(dropped.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-") == anchor
			})
		}
		if !found {
			out = append(out, name+": "+m[1])
		}
	}
	return out
}

func TestLinksLeadSomewhere(t *testing.T) {
	t.Parallel()
	for _, name := range append(readers(t), "README.md", "CONTRIBUTING.md", "packer/README.md", "ansible/README.md") {
		require.Empty(t, broken(name, page(t, name), func(name string) []byte {
			data, _ := os.ReadFile("../../../" + name)
			return data
		}))
	}
}

func TestLinksThatLeadNowhere(t *testing.T) {
	t.Parallel()
	files := map[string]string{"a/b.md": "# B: its `x`, and more\n", "c.md": "c"}
	read := func(name string) []byte {
		if text, found := files[name]; found {
			return []byte(text)
		}
		return nil
	}
	require.Equal(t, []string{"a/x.md: c.md", "a/x.md: b.md#its", "a/x.md: #none"}, broken("a/x.md",
		"[](../c.md) [](b.md#b-its-x-and-more) [](https://x) `[](q)`\n```text\n[](q)\n```\n"+
			"[](c.md) [](b.md#its) [](#none)", read))
}

// The page has the spec's codes, each once.
func TestThePageOfExitCodes(t *testing.T) {
	t.Parallel()
	var codes []string
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \|`).FindAllStringSubmatch(page(t, "docs/exit-codes.md"), -1) {
		codes = append(codes, m[1])
	}
	var want []string
	for _, c := range []fault.Code{fault.Success, fault.General, fault.Usage, fault.Verification, fault.MissingAsset} {
		want = append(want, fmt.Sprint(int(c)))
	}
	require.Equal(t, want, codes)
}
