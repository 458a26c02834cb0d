package guard

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// The two checks of guard 1.
const (
	docsName  = "guard 1: docs"
	pairsName = "guard 1: release notes mention new pairs"
)

// subject is one kind of release-related file with the page that explains it.
type subject struct {
	concerns func(file string) bool
	page     string
	release  bool // the notes of a release, docs/releases/{tag}.md, explain it as well
}

// The spec's four globs, wherever such a file lives in this repository, and
// what stands for them here: the working policies, the platform's registers,
// what an image is made of, the scripts and the Mage targets behind them, the
// release workflows, and the catalog wherever COMPATIBILITY_CATALOG_PATH has it.
func subjects(catalogPath string) []subject {
	is := func(f string) bool { return f == catalogPath }
	return []subject{
		{named("attestation-policy-*.json"), "docs/policies.md", true},
		{within("policies", "*.json"), "docs/policies.md", true},
		{named("host-tcb.json"), "docs/policies.md", true},
		{named("published-mrtds.json"), "docs/measurements.md", true},
		{named("dstack-platforms.json"), "docs/measurements.md", true},
		{moves("packer"), "docs/measurements.md", true},
		{moves("ansible"), "docs/measurements.md", true},
		{is, catalog.PagePath, true},
		{named("compatibility-catalog.json"), catalog.PagePath, true},
		{func(f string) bool { return within("catalog", "*.json")(f) && !record(f) }, catalog.PagePath, true},
		{named("release-*.sh"), "docs/commands.md", false},
		{within("scripts", "*.sh"), "docs/commands.md", false},
		{func(f string) bool { return strings.HasPrefix(f, "magefiles/") }, "docs/commands.md", false},
		{within(".github/workflows", "release-*"), "docs/releasing.md", false},
	}
}

func named(pattern string) func(string) bool {
	return func(f string) bool { ok, _ := path.Match(pattern, path.Base(f)); return ok }
}

// record is the evidence of one E2E, which the pipeline writes: it documents itself.
func record(f string) bool {
	_, _, ok := evidence.ParseName(path.Base(f))
	return ok && path.Dir(f) == evidence.Dir
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

// Proposed is what a pull request changes, as guard 1 looks at it.
type Proposed struct {
	Files  map[string]git.Status // by slash-separated path; a rename is a path gone and a path new
	Pinned []string              // of them: only the version of actions changed, in `uses:` lines
	Unsaid []string              // of them: a page or notes in which nobody reads anything that was not there

	CatalogPath   string            // COMPATIBILITY_CATALOG_PATH
	Before, After []byte            // of the catalog; nil where there is none
	Notes         map[string]string // of the notes of releases that were added or changed, what they say now
}

// Docs is guard 1: "changes to attestation policy, compatibility catalog, or
// measurement files include corresponding documentation updates", and "ensures
// release notes mention the new compatibility entries". Two results, always.
func Docs(p Proposed) check.Results { return check.Results{p.documented(), p.mentioned()} }

// documented: every file that changes, goes or comes needs the page that is
// about it. A page that was deleted documents nothing.
func (p Proposed) documented() check.Result {
	var files, missing []string
	found := false
	for _, s := range subjects(p.CatalogPath) {
		concerned := p.concerned(s)
		found = found || len(concerned) > 0
		if len(concerned) == 0 || p.explains(s) {
			continue
		}
		for _, f := range concerned {
			files = appendNew(files, f)
		}
		missing = appendNew(missing, s.pages())
	}
	switch {
	case !found && len(p.Pinned) > 0:
		return check.NotApplicable(docsName, "only the pinned versions of actions changed")
	case !found:
		return check.NotApplicable(docsName, "no release-related file changed")
	case len(missing) == 0:
		return check.Pass(docsName)
	}
	return check.Fail(docsName, fault.Verification, "release-related files changed without the page about them",
		"a change of "+strings.Join(missing, "; and of "), strings.Join(files, ", ")).
		WithHint(fmt.Sprintf("say in %s what changed and why", strings.Join(missing, "; ")))
}

// concerned are the changed files of a subject, in order, but for pinned ones.
func (p Proposed) concerned(s subject) []string {
	var out []string
	for f := range p.Files {
		if s.concerns(f) && !slices.Contains(p.Pinned, f) {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return out
}

func (p Proposed) explains(s subject) bool {
	says := func(f string, status git.Status) bool { return status != git.Deleted && !slices.Contains(p.Unsaid, f) }
	if status, changed := p.Files[s.page]; changed && says(s.page, status) {
		return true
	}
	if !s.release {
		return false
	}
	for f, status := range p.Files {
		if releaseNotes(f) && says(f, status) {
			return true
		}
	}
	return false
}

func (s subject) pages() string {
	if s.release {
		return s.page + ", or the release's notes in docs/releases"
	}
	return s.page
}

// explaining says whether a file may be the page of a subject, or the notes of a release.
func explaining(f, catalogPath string) bool {
	return releaseNotes(f) || slices.ContainsFunc(subjects(catalogPath), func(s subject) bool { return s.page == f })
}

// releaseNotes says whether the file is what people wrote for a release; the
// templates beside it are not.
func releaseNotes(f string) bool {
	ok, _ := path.Match("docs/releases/mero-*-v*.md", f)
	return ok
}

// mentioned: each pair that is new, and each profile that became tested, is in
// the notes of a release that the same change adds or changes.
func (p Proposed) mentioned() check.Result {
	if _, changed := p.Files[p.CatalogPath]; !changed {
		if p.After == nil {
			return p.noCatalog("no such file, before the change and after it")
		}
		return check.NotApplicable(pairsName, "the catalog did not change")
	}
	if p.After == nil {
		return p.noCatalog("the change takes it away, or makes something else of it")
	}
	after, err := catalog.Decode(p.After)
	if err != nil {
		return check.Of(pairsName, fault.At(p.CatalogPath+" after the change", err))
	}
	before, note := p.before()
	var missing []string
	for _, a := range after.Additions(before) {
		said := func(text string) bool { return a.MentionedIn(text) }
		if !slices.ContainsFunc(p.texts(), said) {
			missing = append(missing, a.Mention())
		}
	}
	if len(missing) == 0 {
		return check.Pass(pairsName).Noting(note)
	}
	return check.Fail(pairsName, fault.Verification, "the notes of no release mention what is new in the catalog"+note,
		"in a file docs/releases/{tag}.md of this change: "+strings.Join(missing, " "), p.notesGot()).
		WithHint("write these lines under \"## Compatible versions\" of the release's notes")
}

// before is the catalog that the change began with. One that cannot be read
// vouches for no pair: then every pair counts as new.
func (p Proposed) before() (*catalog.Catalog, string) {
	if p.Before == nil {
		return nil, ""
	}
	before, err := catalog.Decode(p.Before)
	if err != nil {
		return nil, fmt.Sprintf(" (the catalog before the change cannot be read, so every pair counts as new: %v)", err)
	}
	return before, ""
}

func (p Proposed) noCatalog(got string) check.Result {
	return check.Fail(pairsName, fault.MissingAsset, "there is no compatibility catalog", p.CatalogPath, got).
		WithHint("COMPATIBILITY_CATALOG_PATH names the file; a pair is taken out, never the catalog")
}

func (p Proposed) texts() []string {
	var out []string
	for _, text := range p.Notes {
		out = append(out, text)
	}
	return out
}

func (p Proposed) notesGot() string {
	var names []string
	for name := range p.Notes {
		names = append(names, name)
	}
	if len(names) == 0 {
		return "no change of a release's notes"
	}
	slices.Sort(names)
	return "nothing about them in " + strings.Join(names, ", ")
}

func appendNew(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}
