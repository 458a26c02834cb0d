package notes

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/release"
)

// maxWritten is what people may write, in characters; the generated parts need the rest of MaxSize.
const maxWritten = 20_000

// Written is what people wrote for a release, in Markdown without comments.
type Written struct {
	Intro    string
	Sections map[Section]string
}

// Read judges docs/releases/{tag}.md for a release of the class; data is nil
// when there is no such file. There is one result for the file and one for each
// section that is required or there.
func Read(tag release.Tag, c release.Class, data []byte) (Written, check.Results) {
	name := "notes: " + releases.Path(tag)
	if data == nil {
		return Written{}, check.Results{absent(name, tag, c)}
	}
	w, err := parse(tag, c, data)
	if err != nil {
		return Written{}, check.Results{check.Of(name, err)}
	}
	results := check.Results{w.intro(name, c)}
	for _, s := range append(Required(c), Optional(c)...) {
		if text, there := w.Sections[s]; there || slices.Contains(Required(c), s) {
			results = append(results, judge(s, text, there, c))
		}
	}
	return w, results
}

func absent(name string, tag release.Tag, c release.Class) check.Result {
	if len(Required(c)) == 0 {
		return check.NotApplicable(name, fmt.Sprintf("a %s needs no hand-written notes", c))
	}
	return check.Fail(name, fault.MissingAsset, fmt.Sprintf("a %s release needs hand-written notes", c),
		releases.Path(tag), "no such file").
		WithHint(fmt.Sprintf("copy %s/templates/%s.md to %s, fill it in, and commit it before the tag", releases.Dir, c,
			releases.Path(tag)))
}

func (w Written) intro(name string, c release.Class) check.Result {
	if line := unwritten(w.Intro, c); line != "" {
		return check.Fail(name, fault.Verification, "the introduction still holds the template's text",
			"text of this release, or none", line)
	}
	return check.Pass(name)
}

// judge says whether a section holds what its heading promises.
func judge(s Section, text string, there bool, c release.Class) check.Result {
	name := "notes: " + string(s)
	fail := func(reason, expected, got string) check.Result {
		return check.Fail(name, fault.Verification, reason, expected, got)
	}
	line := unwritten(text, c)
	switch {
	case !there:
		return fail("the section is missing", "## "+string(s), "no such section")
	case line != "":
		return fail("the section still holds the template's text", "text of this release", line)
	case !says(text):
		return fail("the section is empty", "at least a word, such as \"None.\"", "nothing")
	case denies(text) && slices.Contains([]Section{PatchReason, ExactChange, Rollback}, s):
		return fail("the section says that there is none", "words: "+string(s), cut(text))
	case s == Reference && !refers(text):
		return fail("the section names no CVE and no incident",
			"CVE-YYYY-NNNN, GHSA-xxxx-xxxx-xxxx, an id such as INC-42, or an https address", cut(text))
	}
	return check.Pass(name)
}

// parse reads the file's form: the tag as its title, then an introduction, then known sections.
func parse(tag release.Tag, c release.Class, data []byte) (Written, error) {
	w := Written{Sections: map[Section]string{}}
	if err := readable(data); err != nil {
		return w, err
	}
	blocks, err := split(string(data))
	if err != nil {
		return w, err
	}
	title, intro, _ := strings.Cut(strings.TrimSpace(blocks[0].text), "\n")
	if want := "# " + tag.String(); strings.TrimSpace(title) != want {
		return w, broken("the first line is not the tag", want, cut(title))
	}
	w.Intro = strings.TrimSpace(intro)
	known := append(Required(c), Optional(c)...)
	for _, b := range blocks[1:] {
		s := Section(b.heading)
		if _, twice := w.Sections[s]; twice {
			return w, broken("a section is there twice", "each once", "## "+b.heading)
		}
		if !slices.Contains(known, s) {
			return w, broken(fmt.Sprintf("a %s has no such section", c), headings(known), "## "+cut(b.heading))
		}
		w.Sections[s] = strings.TrimSpace(b.text)
	}
	return w, nil
}

func headings(sections []Section) string {
	names := make([]string, len(sections))
	for i, s := range sections {
		names[i] = string(s)
	}
	return strings.Join(names, ", ")
}

// readable refuses what would not be shown as it is written.
func readable(data []byte) error {
	hidden := func(r rune) bool {
		return unicode.IsControl(r) && r != '\n' && r != '\r' && r != '\t' || reason.Invisible(r)
	}
	switch n := utf8.RuneCount(data); {
	case !utf8.Valid(data):
		return broken("the notes are not UTF-8", "UTF-8", "other bytes")
	case n > maxWritten:
		return broken("the notes are too long", fmt.Sprintf("at most %d characters", maxWritten), fmt.Sprint(n))
	case strings.ContainsFunc(string(data), hidden):
		at := strings.IndexFunc(string(data), hidden)
		r, _ := utf8.DecodeRune(data[at:])
		return broken("the notes hold control or invisible characters", "printable text",
			fmt.Sprintf("%U in line %d", r, bytes.Count(data[:at], []byte("\n"))+1))
	}
	return nil
}

func broken(message, expected, got string) error {
	return &fault.Error{Code: fault.Verification, Message: message, Expected: expected, Got: got,
		Hint: "see " + releases.Dir + "/README.md"}
}

// Section is a part of the notes that people write; its value is its heading.
type Section string

// The sections that docs/releases/{tag}.md may have.
const (
	BreakingChanges Section = "Breaking changes"
	UpgradePath     Section = "Upgrade path"
	PatchReason     Section = "Why a patch release"
	Reference       Section = "Reference"
	ExactChange     Section = "Exact change"
	Rollback        Section = "Rollback"
	OtherPaths      Section = "Other paths"
	Compatible      Section = "Compatible versions" // see Listing
)

// Required are the sections without which a release of the class does not start.
func Required(c release.Class) []Section {
	switch c {
	case release.Stable:
		return []Section{BreakingChanges, UpgradePath}
	case release.Hotfix:
		return []Section{PatchReason, Reference, ExactChange, Rollback}
	}
	return nil
}

// Optional are the other sections that the class may have.
func Optional(c release.Class) []Section {
	switch c {
	case release.Hotfix:
		return []Section{OtherPaths, BreakingChanges, UpgradePath, Compatible}
	case release.Candidate:
		return []Section{BreakingChanges, UpgradePath, Compatible}
	}
	return []Section{Compatible}
}

// An item of ExactChange or OtherPaths: "- policies/debug.json: the reason"; in backquotes the path may hold anything.
var reasonItem = regexp.MustCompile("^ {0,3}[-*+][ \t]+(?:`([^`]+)`|([^\\s:`]+)):[ \t]+(.+)$")

// Reasons are the reasons that the sections ExactChange and OtherPaths give, by file or folder.
func (w Written) Reasons() map[string]string {
	reasons := map[string]string{}
	for line := range strings.SplitSeq(w.Sections[ExactChange]+"\n"+w.Sections[OtherPaths], "\n") {
		m := reasonItem.FindStringSubmatch(line)
		if m != nil && says(m[3]) && !denies(m[3]) && unwritten(m[3], release.Hotfix) == "" {
			reasons[strings.TrimSuffix(m[1]+m[2], "/")] = strings.TrimSpace(m[3])
		}
	}
	return reasons
}

// Fill puts what people wrote into the input of the notes.
func (w Written) Fill(in *Input) {
	var b strings.Builder
	b.WriteString(w.Intro)
	for _, s := range []Section{PatchReason, Reference, ExactChange, OtherPaths, Compatible} {
		if text := w.Sections[s]; text != "" {
			fmt.Fprintf(&b, "\n\n## %s\n\n%s", s, text)
		}
	}
	in.Summary = strings.TrimSpace(b.String())
	in.Rollback = w.Sections[Rollback]
	in.Breaking, in.Upgrade = w.Sections[BreakingChanges], w.Sections[UpgradePath]
}

// Statement is a file of hand-written notes in which every required section
// says the same: for releases that need the form but have nothing to tell, such
// as a rehearsal's. reference is a CVE or an incident; changed are the paths
// that a hotfix gives reasons for.
func Statement(tag release.Tag, c release.Class, text, reference string, changed ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", tag, text)
	for _, s := range Required(c) {
		body := text
		if s == Reference {
			body = reference + ": " + text
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s, body)
	}
	if c == release.Hotfix && len(changed) > 0 {
		fmt.Fprintf(&b, "\n## %s\n\n", OtherPaths)
		for _, path := range changed {
			fmt.Fprintf(&b, "- `%s`: %s\n", path, text)
		}
	}
	return []byte(b.String())
}
