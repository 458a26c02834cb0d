package github

import (
	"fmt"
	"net/http"
	"strings"
)

// compare knows histories in which each commit has one parent.
func (s *Server) compare(r *http.Request, st *state) *answer {
	from, to, whole := strings.Cut(r.PathValue("basehead"), "...")
	base, there := st.commitish(from)
	head, here := st.commitish(to)
	if !whole || !there || !here {
		return missing
	}
	ahead, behind, common := st.between(base.SHA, head.SHA)
	if common == "" {
		return fail(http.StatusNotFound, fmt.Sprintf("No common ancestor between %s and %s.", from, to))
	}
	states := map[[2]bool]string{{false, false}: "identical", {true, false}: "ahead", {false, true}: "behind",
		{true, true}: "diverged"}
	at, web := s.apiURL("compare/%s...%s", from, to), s.webURL("compare/%s...%s", from, to)
	list := []any{}
	for _, sha := range ahead {
		list = append(list, s.showCommit(sha, st.Commits[sha]))
	}
	a := page(r, list)
	a.body = fields{"status": states[[2]bool{len(ahead) > 0, len(behind) > 0}], "ahead_by": len(ahead),
		"behind_by": len(behind), "total_commits": len(ahead), "commits": a.body, "files": []any{}, "url": at,
		"html_url": web, "permalink_url": web, "diff_url": web + ".diff", "patch_url": web + ".patch",
		"base_commit":       s.showCommit(base.SHA, st.Commits[base.SHA]),
		"merge_base_commit": s.showCommit(common, st.Commits[common])}
	return a
}

// between are the commits that head has and base has not, the oldest first, those
// of the other direction, and the newest that both have.
func (st *state) between(base, head string) (ahead, behind []string, common string) {
	ofBase := st.history(base)
	at := map[string]int{}
	for i, sha := range ofBase {
		at[sha] = i
	}
	for _, sha := range st.history(head) {
		if i, both := at[sha]; both {
			return ahead, ofBase[:i], sha
		}
		ahead = append([]string{sha}, ahead...)
	}
	return ahead, ofBase, ""
}

// history is a commit and what came before it, the newest first.
func (st *state) history(sha string) (out []string) {
	for ; sha != ""; sha = st.Commits[sha].Parent {
		out = append(out, sha)
	}
	return out
}

// showCommit is the commit as the repository shows it.
func (s *Server) showCommit(sha string, c commit) fields {
	git := s.showGitCommit(sha, c)
	delete(git, "node_id")
	parents := []any{}
	if c.Parent != "" {
		parents = git["parents"].([]any)
	}
	inner := fields{"comment_count": 0}
	for _, name := range []string{"author", "committer", "message", "tree", "url", "verification"} {
		inner[name] = git[name]
	}
	at := s.apiURL("commits/%s", sha)
	return fields{"sha": sha, "node_id": node("Commit", sha), "url": at, "html_url": git["html_url"],
		"comments_url": at + "/comments", "parents": parents, "commit": inner}.set(s.user(), "author", "committer")
}
