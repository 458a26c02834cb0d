package github

import (
	"context"
	"net/http"
	"strings"
	"unicode"
)

// The states of a commit's status that a verdict has.
const (
	StatusSuccess = "success" // looked, and found it good
	StatusFailure = "failure" // looked, and found it bad
	StatusError   = "error"   // could not look
)

// maxDescription is how many characters of a status GitHub takes.
const maxDescription = 140

// CommitStatus is a verdict that is shown wherever a commit is: at its tag, in its
// checks, beside the runs that it started.
type CommitStatus struct {
	Context     string `json:"context"` // who says it; the newest of a context counts
	State       string `json:"state"`
	Description string `json:"description"` // one line; what is too long is cut off
	TargetURL   string `json:"target_url,omitempty"`
}

// SetStatus says something of a commit; statuses: write. Said twice, it is there twice, and means the same.
func (c *Client) SetStatus(ctx context.Context, commit string, s CommitStatus) error {
	s.Description = oneLine(s.Description, maxDescription)
	err := c.idempotent(ctx, http.MethodPost, "statuses/"+segment(commit), s, nil)
	return explain("setting the status "+s.Context+" of "+commit, err)
}

// oneLine is text of so many characters at most, without what ends a line or cannot be seen.
func oneLine(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
