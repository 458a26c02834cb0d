package github

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
)

// MergePull stands for a person who merges a pull request by hand: it closes it and
// returns the files that its branch changed since it left the base. Whoever calls it
// pushes the base branch with them. What both changed since then is a conflict: a
// person would have to resolve it, also where GitHub could tell the lines apart.
func (s *Server) MergePull(number int64) (map[string][]byte, error) {
	var files map[string][]byte
	a := s.transact(func(st *state) *answer {
		p := st.openPull(number)
		if p == nil {
			return missing
		}
		head, base := st.Refs["refs/heads/"+p.Head].SHA, st.Refs["refs/heads/"+p.Base].SHA
		from, related := st.mergeBase(head, base)
		if !related {
			return fail(http.StatusMethodNotAllowed, "refusing to merge unrelated histories")
		}
		var conflict string
		files, conflict = changedSince(st.Commits[from].Files, st.Commits[head].Files, st.Commits[base].Files)
		if conflict != "" {
			return fail(http.StatusMethodNotAllowed, "Pull Request is not mergeable: both changed "+conflict)
		}
		p.State, p.Merged, p.ClosedAt = "closed", true, s.stamp()
		return ok(nil)
	}, true)
	if a.status != http.StatusOK {
		return nil, fmt.Errorf("merge pull request %d: %v", number, a.body)
	}
	return files, nil
}

// ClosePull stands for a person who closes a pull request without merging it.
func (s *Server) ClosePull(number int64) error {
	a := s.transact(func(st *state) *answer {
		p := st.openPull(number)
		if p == nil {
			return missing
		}
		p.State, p.ClosedAt = "closed", s.stamp()
		return ok(nil)
	}, true)
	if a.status != http.StatusOK {
		return fmt.Errorf("close pull request %d: %v", number, a.body)
	}
	return nil
}

func (st *state) openPull(number int64) *pull {
	at := slices.IndexFunc(st.Pulls, func(p *pull) bool { return p.Number == number && p.State == "open" })
	if at < 0 {
		return nil
	}
	return st.Pulls[at]
}

// mergeBase is the nearest commit on which both are built.
func (st *state) mergeBase(a, b string) (string, bool) {
	of := st.ancestors(b)
	for _, sha := range st.ancestors(a) {
		if slices.Contains(of, sha) {
			return sha, true
		}
	}
	return "", false
}

// changedSince are the files that ours has otherwise than from, and that theirs does
// not have like that already; conflict is one that theirs has otherwise than both.
func changedSince(from, ours, theirs map[string][]byte) (files map[string][]byte, conflict string) {
	same := func(path string, a, b map[string][]byte) bool {
		x, inA := a[path]
		y, inB := b[path]
		return inA == inB && bytes.Equal(x, y)
	}
	files = map[string][]byte{}
	for _, path := range slices.Sorted(maps.Keys(ours)) {
		switch {
		case same(path, ours, from) || same(path, ours, theirs):
		case !same(path, theirs, from):
			return nil, path
		default:
			files[path] = ours[path]
		}
	}
	return files, ""
}
