package git

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// Entry is one commit of a log, as its author wrote it: subject, body and name are not to be trusted.
type Entry struct {
	Hash    string // 40 hex digits
	Subject string
	Body    string // without the subject
	Author  string // name only
	PR      int    // number of the pull request; 0 when the subject names none

	Parents []string // hashes; the first is that of the branch into which a merge was made
}

// Log lists the commits that are reachable from to and not from from, children
// before parents; an empty from means all.
func Log(ctx context.Context, dir, from, to string) ([]Entry, error) {
	if err := whole(ctx, dir); err != nil {
		return nil, err
	}
	scope, err := resolve(ctx, dir, to)
	if err != nil {
		return nil, err
	}
	if from != "" {
		base, err := resolve(ctx, dir, from)
		if err != nil {
			return nil, err
		}
		scope = base + ".." + scope
	}
	out, err := run(ctx, dir, "-c", "i18n.logOutputEncoding=UTF-8", "log", "-z", "--no-show-signature", "--no-notes",
		"--no-decorate", "--no-mailmap",
		"--topo-order", "--format=tformat:%H%x00%an%x00%s%x00%b%x00%P", scope, "--")
	if err != nil {
		return nil, err
	}
	return parseLog(out)
}

const fieldsPerEntry = 5

func parseLog(out string) ([]Entry, error) {
	// Every field ends with a NUL; git takes none into a message.
	fields := strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
	if out == "" {
		return nil, nil
	}
	if len(fields)%fieldsPerEntry != 0 {
		return nil, fmt.Errorf("git log: %d fields, not a multiple of %d", len(fields), fieldsPerEntry)
	}
	var entries []Entry
	for ; len(fields) > 0; fields = fields[fieldsPerEntry:] {
		e := Entry{Hash: fields[0], Author: text(fields[1]), Subject: text(fields[2]),
			Body: strings.TrimSpace(text(fields[3])), Parents: strings.Fields(fields[4])}
		e.PR = pullRequest(e.Subject)
		entries = append(entries, e)
	}
	return entries, nil
}

func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// The two forms that GitHub writes: squashed "Subject (#123)" and "Merge pull request #123 from …".
var (
	squashed = regexp.MustCompile(`\(#([1-9]\d{0,8})\)$`)
	merged   = regexp.MustCompile(`^Merge pull request #([1-9]\d{0,8}) from `)
)

func pullRequest(subject string) int {
	m := squashed.FindStringSubmatch(subject)
	if m == nil {
		m = merged.FindStringSubmatch(subject)
	}
	if m == nil {
		return 0
	}
	n, _ := strconv.Atoi(m[1]) // nine digits at most
	return n
}
