package guard

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/fault"
)

const docsName = "guard 1: docs"

// subject is one kind of release-related file and the page that explains it.
type subject struct {
	concerns func(file string) bool
	page     string
}

// The spec's four globs, wherever such a file lives in this repository, and
// what stands for scripts/release-*.sh here: the shims and the Mage targets.
func subjects() []subject {
	return []subject{
		{named("attestation-policy-*.json"), "docs/policies.md"},
		{within("policies", "*.json"), "docs/policies.md"},
		{named("published-mrtds.json"), "docs/measurements.md"},
		{named("compatibility-catalog.json"), "docs/catalog.md, and the release notes under docs/releases"},
		{within("scripts", "*.sh"), "docs/commands.md"},
		{func(f string) bool { return strings.HasPrefix(f, "magefiles/") }, "docs/commands.md"},
	}
}

func named(pattern string) func(string) bool {
	return func(f string) bool { ok, _ := path.Match(pattern, path.Base(f)); return ok }
}

func within(dir, pattern string) func(string) bool {
	return func(f string) bool {
		rest, ok := strings.CutPrefix(f, dir+"/")
		return ok && named(pattern)(rest)
	}
}

// Docs is guard 1: "changes to attestation policy, compatibility catalog, or
// measurement files include corresponding documentation updates". changed are
// the slash-separated paths that a pull request adds or modifies (git diff
// --name-only --diff-filter=d: a page that was deleted documents nothing).
func Docs(changed []string) check.Result {
	var files, pages []string
	for _, f := range changed {
		for _, s := range subjects() {
			if s.concerns(f) {
				files, pages = appendNew(files, f), appendNew(pages, s.page)
			}
		}
	}
	if len(files) == 0 {
		return check.NotApplicable(docsName, "no release-related file changed")
	}
	if slices.ContainsFunc(changed, documents) {
		return check.Pass(docsName)
	}
	return check.Fail(docsName, fault.Verification, "release-related files changed without documentation",
		"a change under docs/, in README.md or in CHANGELOG.md", strings.Join(files, ", ")).
		WithHint(fmt.Sprintf("say in %s what changed and why", strings.Join(pages, "; ")))
}

// documents says whether the file is one that people read; a release-related
// file that happens to lie under docs/ does not document itself.
func documents(f string) bool {
	if slices.ContainsFunc(subjects(), func(s subject) bool { return s.concerns(f) }) {
		return false
	}
	return strings.HasPrefix(f, "docs/") || f == "README.md" || f == "CHANGELOG.md"
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
