package notes

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// What lists may take of MaxSize, in characters; the rest is for tables and what people wrote.
const (
	changesSize      = 70_000
	breakingSize     = 15_000
	contributorsSize = 5_000
	maxText          = 200 // of one subject or name, before escaping
)

func changes(in Input) string {
	since := "This is the family's first release."
	if in.Previous != nil {
		since = fmt.Sprintf("Since [%s](https://github.com/%s/compare/%s...%s):", in.Previous, in.Repository, in.Previous,
			in.Tag)
	}
	return since + "\n\n" + list(in.Repository, in.Commits, changesSize, "No commits.\n")
}

// Conventional commits mark a breaking change with ! before the colon, behind a type in any case, or with a footer,
// whose name is in capitals.
var (
	breakingSubject = regexp.MustCompile(`^[A-Za-z]+(\([^()]*\))?!: `)
	breakingFooter  = regexp.MustCompile(`(?m)^BREAKING[ -]CHANGE(?:: | #)`)
)

func breaking(in Input) string {
	if in.Breaking != "" {
		return strings.TrimSpace(in.Breaking) + "\n"
	}
	reverted := reverts(in.Repository, in.Commits)
	marked := slices.DeleteFunc(slices.Clone(in.Commits), func(c git.Entry) bool {
		return reverted[c.Hash] || !breakingSubject.MatchString(c.Subject) && !breakingFooter.MatchString(c.Body)
	})
	return list(in.Repository, marked, breakingSize, "None.\n")
}

// What `git revert` writes into the body, with --reference too, for a merge, and of a revert that was reverted; and
// what GitHub's button writes. A commit that takes back several says so several times. Where pull requests are squashed
// and only their titles kept, the subject alone says it.
var (
	revertFooter = regexp.MustCompile(`(?m)^This reverts commit ([0-9a-f]{7,40})` +
		`(?:, reversing\s+changes made to ([0-9a-f]{7,40})|[.,]| \(|\r?$)`)
	revertButton  = regexp.MustCompile(`(?m)^Reverts ([\w.-]+/[\w.-]+)#([1-9][0-9]{0,8})\r?$`)
	revertSubject = regexp.MustCompile(`^(Revert|Reapply) "(.+)"$`)
)

// reverts are the commits that a later one among them took back, and that nothing brought back. The newest come first.
func reverts(repository string, commits []git.Entry) map[string]bool {
	gone := map[string]bool{}
	for i, c := range commits {
		if gone[c.Hash] {
			continue
		}
		older := commits[i+1:]
		take := func(line string, is func(git.Entry) bool) {
			at := slices.IndexFunc(older, is)
			if at >= 0 && !slices.ContainsFunc(older[at+1:], is) { // a name that two of them have is neither's
				for _, hash := range brought(older[at:], line) {
					gone[hash] = true
				}
			}
		}
		footers, buttons := revertFooter.FindAllStringSubmatch(c.Body, -1), revertButton.FindAllStringSubmatch(c.Body, -1)
		for _, m := range footers {
			take(m[2], func(e git.Entry) bool { return strings.HasPrefix(e.Hash, m[1]) })
		}
		for _, m := range buttons {
			number, _ := strconv.Atoi(m[2]) // nine digits at most
			take("", func(e git.Entry) bool { return e.PR == number && strings.EqualFold(m[1], repository) })
		}
		if m := revertSubject.FindStringSubmatch(unnumbered(c.Subject)); m != nil && len(footers)+len(buttons) == 0 {
			subject := map[string]string{"Revert": unnumbered(m[2]), "Reapply": `Revert "` + m[2] + `"`}[m[1]]
			take("", func(e git.Entry) bool { return unnumbered(e.Subject) == subject })
		}
	}
	return gone
}

// unnumbered is a subject without the number of its pull request.
func unnumbered(subject string) string { return pullSuffix.ReplaceAllString(subject, "") }

// brought are the commit that stands first, and where it is a merge, what it brought into the line that is named or
// that of its first parent: the commits among those behind it from which that parent does not descend.
func brought(commits []git.Entry, line string) []string {
	merge := commits[0]
	if len(merge.Parents) < 2 {
		return []string{merge.Hash}
	}
	at := slices.IndexFunc(merge.Parents, func(hash string) bool { return line != "" && strings.HasPrefix(hash, line) })
	had := ancestors(commits[1:], merge.Parents[max(at, 0)])
	var out []string
	for hash := range ancestors(commits, merge.Hash) {
		if !had[hash] {
			out = append(out, hash)
		}
	}
	return out
}

// ancestors are a commit and those behind it, among commits of which each stands before its parents.
func ancestors(commits []git.Entry, of string) map[string]bool {
	reached := map[string]bool{of: true}
	for _, c := range commits {
		if reached[c.Hash] {
			for _, parent := range c.Parents {
				reached[parent] = true
			}
		}
	}
	return reached
}

// list is one line for each commit, as many as fit.
func list(repository string, commits []git.Entry, size int, none string) string {
	if len(commits) == 0 {
		return none
	}
	var b strings.Builder
	for i, c := range commits {
		item := line(repository, c)
		if size -= utf8.RuneCountInString(item); size < 0 {
			fmt.Fprintf(&b, "- and %d more commits\n", len(commits)-i)
			break
		}
		b.WriteString(item)
	}
	return b.String()
}

var pullSuffix = regexp.MustCompile(` ?\(#\d+\)$`)

// line is one commit: its subject, literally, then links that we make ourselves.
func line(repository string, c git.Entry) string {
	subject, where := c.Subject, fmt.Sprintf("[`%.7s`](https://github.com/%s/commit/%s)", c.Hash, repository, c.Hash)
	if c.PR != 0 {
		subject = pullSuffix.ReplaceAllString(subject, "")
		where = fmt.Sprintf("[#%d](https://github.com/%s/pull/%d), %s", c.PR, repository, c.PR, where)
	}
	return fmt.Sprintf("- %s (%s)\n", cmp.Or(escape(cut(subject)), "no subject"), where)
}

func cut(s string) string {
	if r := []rune(s); len(r) > maxText {
		return string(r[:maxText]) + "…"
	}
	return s
}

// contributors lists the authors' names in the order of the alphabet; the log has no accounts.
func contributors(commits []git.Entry) string {
	var names []string
	for _, c := range commits {
		if name := escape(cut(c.Author)); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	shown, size := 0, contributorsSize
	for shown < len(names) && size > 0 {
		size -= utf8.RuneCountInString(names[shown])
		shown++
	}
	text := strings.Join(names[:shown], ", ")
	if more := len(names) - shown; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return cmp.Or(text, "None.") + "\n"
}
