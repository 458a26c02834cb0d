package guard

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const docsName = "guard 1: docs"

// subject is one kind of release-related file with the page that explains it.
type subject struct {
	concerns func(file string) bool
	page     string
	release  bool // the notes of a release, docs/releases/{tag}.md, explain it as well
}

// The spec's four globs, wherever such a file lives in this repository, and
// what stands for them here: the working policies, the platform's registers,
// what an image is made of, the scripts and the Mage targets behind them.
func subjects() []subject {
	return []subject{
		{named("attestation-policy-*.json"), "docs/policies.md", true},
		{within("policies", "*.json"), "docs/policies.md", true},
		{named("host-tcb.json"), "docs/policies.md", true},
		{named("published-mrtds.json"), "docs/measurements.md", true},
		{named("dstack-platforms.json"), "docs/measurements.md", true},
		{moves("packer"), "docs/measurements.md", true},
		{moves("ansible"), "docs/measurements.md", true},
		{named("compatibility-catalog.json"), "docs/catalog.md", true},
		{within("catalog", "*.json"), "docs/catalog.md", true},
		{within("scripts", "*.sh"), "docs/commands.md", false},
		{func(f string) bool { return strings.HasPrefix(f, "magefiles/") }, "docs/commands.md", false},
	}
}

func named(pattern string) func(string) bool {
	return func(f string) bool { ok, _ := path.Match(pattern, path.Base(f)); return ok }
}

// within is a file in the folder itself or below it.
func within(dir, pattern string) func(string) bool {
	return func(f string) bool { return strings.HasPrefix(f, dir+"/") && named(pattern)(f) }
}

// moves says whether a file of the folder can move a measurement: what builds
// an image or goes into it, but not what only tests or describes it.
func moves(dir string) func(string) bool {
	return func(f string) bool {
		return strings.HasPrefix(f, dir+"/") && !strings.HasSuffix(f, "_test.go") && path.Ext(f) != ".md" &&
			!strings.Contains(f, "/testdata/")
	}
}

// Docs is guard 1: "changes to attestation policy, compatibility catalog, or
// measurement files include corresponding documentation updates". changed are
// the slash-separated paths that a pull request adds or modifies (git diff
// --name-only --diff-filter=d: a page that was deleted documents nothing).
// Every file needs the page that is about it.
func Docs(changed []string) check.Result {
	var files, missing []string
	found := false
	for _, s := range subjects() {
		concerned := slices.DeleteFunc(slices.Clone(changed), func(f string) bool { return !s.concerns(f) })
		found = found || len(concerned) > 0
		if len(concerned) == 0 || s.documented(changed) {
			continue
		}
		for _, f := range concerned {
			files = appendNew(files, f)
		}
		missing = appendNew(missing, s.pages())
	}
	switch {
	case !found:
		return check.NotApplicable(docsName, "no release-related file changed")
	case len(missing) == 0:
		return check.Pass(docsName)
	}
	return check.Fail(docsName, fault.Verification, "release-related files changed without the page about them",
		"a change of "+strings.Join(missing, "; and of "), strings.Join(files, ", ")).
		WithHint(fmt.Sprintf("say in %s what changed and why", strings.Join(missing, "; ")))
}

func (s subject) documented(changed []string) bool {
	return slices.Contains(changed, s.page) || s.release && slices.ContainsFunc(changed, releaseNotes)
}

func (s subject) pages() string {
	if s.release {
		return s.page + ", or the release's notes in docs/releases"
	}
	return s.page
}

// releaseNotes says whether the file is what people wrote for a release; the
// templates beside it are not.
func releaseNotes(f string) bool {
	ok, _ := path.Match("docs/releases/mero-*-v*.md", f)
	return ok
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
