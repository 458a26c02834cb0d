package notes

import (
	"regexp"
	"strings"
)

// An item of the section GuardedPaths: "- policies/debug.json: the reason".
var reasonItem = regexp.MustCompile("^ {0,3}[-*+][ \t]+`?([A-Za-z0-9._/-]+?)/?`?:[ \t]+(.+)$")

// Reasons are the reasons of the section GuardedPaths, by file or folder.
func (w Written) Reasons() map[string]string {
	reasons := map[string]string{}
	for line := range strings.SplitSeq(w.Sections[GuardedPaths], "\n") {
		if m := reasonItem.FindStringSubmatch(line); m != nil && says(m[2]) {
			reasons[m[1]] = strings.TrimSpace(m[2])
		}
	}
	return reasons
}
