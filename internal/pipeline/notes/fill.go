package notes

import (
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Fill puts what people wrote into the input of the notes.
func (w Written) Fill(in *Input) {
	var b strings.Builder
	b.WriteString(w.Intro)
	for _, s := range []Section{PatchReason, Reference, ExactChange, Rollback, GuardedPaths} {
		if text := w.Sections[s]; text != "" {
			fmt.Fprintf(&b, "\n\n## %s\n\n%s", s, text)
		}
	}
	in.Summary = strings.TrimSpace(b.String())
	in.Breaking, in.Upgrade = w.Sections[BreakingChanges], w.Sections[UpgradePath]
}

// Statement is a file of hand-written notes in which every required section
// says the same: for releases that need the form but have nothing to tell, such
// as a rehearsal's. reference is a CVE or an incident; guarded are the paths
// that a hotfix gives reasons for.
func Statement(tag release.Tag, c release.Class, text, reference string, guarded ...string) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n%s\n", tag, text)
	for _, s := range Required(c) {
		body := text
		if s == Reference {
			body = reference + ": " + text
		}
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s, body)
	}
	if c == release.Hotfix && len(guarded) > 0 {
		fmt.Fprintf(&b, "\n## %s\n\n", GuardedPaths)
		for _, path := range guarded {
			fmt.Fprintf(&b, "- %s: %s\n", path, text)
		}
	}
	return []byte(b.String())
}
