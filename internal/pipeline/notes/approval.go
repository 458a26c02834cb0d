package notes

import (
	"fmt"
	"strings"
	"time"
)

// Approval is who approved a release's promotion.
type Approval struct {
	Environment string
	Reviewers   []Reviewer
	Run         string    // the page of the workflow run
	Seen        time.Time // when the promotion saw it: GitHub tells no time of a review
}

// Reviewer is one of them, and what they wrote.
type Reviewer struct{ Login, Comment string }

// Logins are the reviewers' names.
func (a Approval) Logins() (out []string) {
	for _, r := range a.Reviewers {
		out = append(out, r.Login)
	}
	return out
}

// Section is the part of a release's notes that says so. What reviewers wrote is
// shown literally.
func (a Approval) Section() string {
	var b strings.Builder
	b.WriteString("## Approval\n\n")
	for _, r := range a.Reviewers {
		fmt.Fprintf(&b, "- approved for %s by %s, in %s, as seen at %s", code(a.Environment), code(r.Login), a.Run,
			a.Seen.UTC().Format(time.RFC3339))
		if comment := escape(cut(r.Comment)); comment != "" {
			fmt.Fprintf(&b, ": %s", comment)
		}
		b.WriteString("\n")
	}
	return b.String()
}
