package github

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github/pages"
)

func (s *Server) releasesView(_ *http.Request, st *state) (pages.Page, bool) {
	var list []pages.Release
	for _, rel := range slices.Backward(st.Releases) { // the newest first
		if !rel.Draft {
			list = append(list, s.viewRelease(st, rel))
		}
	}
	return pages.Page{Title: "Releases", Content: pages.Releases{List: list}}, true
}

func (s *Server) releaseView(r *http.Request, st *state) (pages.Page, bool) {
	rel := st.public(r.PathValue("tag"))
	if rel == nil {
		return pages.Page{}, false
	}
	out := s.viewRelease(st, rel)
	for i, a := range out.Assets {
		sum, size, err := digest.OfFile(s.file(rel, &asset{Name: a.Name}))
		if err != nil { // it went this moment
			return pages.Page{}, false
		}
		out.Assets[i].Size, out.Assets[i].Digest = size, sum.String()
	}
	return pages.Page{Title: rel.Tag, Content: out}, true
}

// viewRelease is a release with the names of its assets: neither of those that
// broke off nor of those whose files are gone.
func (s *Server) viewRelease(st *state, rel *release) pages.Release {
	latest := st.latest()
	out := pages.Release{Name: rel.Title, Tag: rel.Tag, Prerelease: rel.Prerelease, Published: rel.PublishedAt,
		Latest: latest != nil && latest.ID == rel.ID, Notes: rel.Body}
	if at, there := st.Refs["refs/tags/"+rel.Tag]; there {
		out.Commit = st.peel(at).SHA
		out.Checks = st.viewChecks(out.Commit)
	}
	for _, a := range rel.Assets {
		info, err := os.Lstat(s.file(rel, a))
		if err == nil && info.Mode().IsRegular() && a.State == "uploaded" {
			out.Assets = append(out.Assets, pages.Asset{Name: a.Name})
		}
	}
	return out
}

func tagsView(_ *http.Request, st *state) (pages.Page, bool) {
	var list []pages.Tag
	for ref, at := range st.Refs {
		if name, isTag := strings.CutPrefix(ref, "refs/tags/"); isTag {
			list = append(list, pages.Tag{Name: name, Commit: st.peel(at).SHA, Released: st.public(name) != nil})
		}
	}
	slices.SortFunc(list, func(a, b pages.Tag) int { return strings.Compare(b.Name, a.Name) })
	return pages.Page{Title: "Tags", Content: pages.Tags{List: list}}, true
}

func pullsView(_ *http.Request, st *state) (pages.Page, bool) {
	var list []pages.Pull
	for _, p := range slices.Backward(st.Pulls) {
		list = append(list, viewPull(p))
	}
	return pages.Page{Title: "Pull requests", Content: pages.Pulls{List: list}}, true
}

func pullView(r *http.Request, st *state) (pages.Page, bool) {
	at := slices.IndexFunc(st.Pulls, func(p *pull) bool { return fmt.Sprint(p.Number) == r.PathValue("number") })
	if at < 0 {
		return pages.Page{}, false
	}
	p := st.Pulls[at]
	out := viewPull(p)
	head, there := st.Refs["refs/heads/"+p.Head]
	if !there { // the branch was deleted
		return pages.Page{Title: fmt.Sprintf("#%d %s", p.Number, p.Title), Content: out}, true
	}
	out.Commit = head.SHA
	if from, related := st.mergeBase(head.SHA, st.Refs["refs/heads/"+p.Base].SHA); related {
		out.Files = pages.Changes(st.Commits[from].Files, st.Commits[head.SHA].Files, head.SHA)
	}
	out.Checks = st.viewChecks(head.SHA)
	return pages.Page{Title: fmt.Sprintf("#%d %s", p.Number, p.Title), Content: out}, true
}

// viewPull is a pull request without what is known of its commits.
func viewPull(p *pull) pages.Pull {
	state := p.State
	if p.Merged {
		state = "merged"
	}
	return pages.Pull{Number: p.Number, Title: p.Title, Body: p.Body, Head: p.Head, Base: p.Base, State: state,
		Created: p.CreatedAt, Labels: p.Labels}
}

// commitView shows a commit by its id or by a branch that is at it.
func commitView(r *http.Request, st *state) (pages.Page, bool) {
	at, known := st.commitish(r.PathValue("ref"))
	if !known {
		return pages.Page{}, false
	}
	c := st.Commits[at.SHA]
	out := pages.Commit{SHA: at.SHA, Message: c.Message, Checks: st.viewChecks(at.SHA),
		Files: pages.Changes(st.Commits[c.Parent].Files, c.Files, at.SHA)}
	for _, parent := range []string{c.Parent, c.Merged} {
		if parent != "" {
			out.Parents = append(out.Parents, parent)
		}
	}
	for ref, o := range st.Refs {
		if st.peel(o).SHA == at.SHA {
			out.Refs = append(out.Refs, strings.TrimPrefix(strings.TrimPrefix(ref, "refs/heads/"), "refs/tags/"))
		}
	}
	slices.Sort(out.Refs)
	return pages.Page{Title: at.SHA[:10], Content: out}, true
}

// viewChecks are what is said of a commit: the last run of each check, those that
// its open pull requests wait for, and each status.
func (st *state) viewChecks(sha string) []pages.Check {
	var out []pages.Check
	for _, run := range append(st.pullChecks(sha), st.pushChecks(sha, false)...) {
		c := pages.Check{Name: run.Name, By: run.App.Slug, State: run.Conclusion}
		if c.State == "" {
			c.State = "queued"
		}
		out = append(out, c)
	}
	for _, one := range slices.Backward(st.Statuses) {
		if one.SHA == sha {
			out = append(out, pages.Check{Name: one.Context, By: one.By, State: one.State, Status: true,
				Description: strings.TrimSpace(one.Description + " " + one.TargetURL)})
		}
	}
	return out
}

func runView(r *http.Request, st *state) (pages.Page, bool) {
	run := st.run(r)
	if run == nil {
		return pages.Page{}, false
	}
	out := pages.Run{ID: run.ID, Workflow: run.Workflow, Tag: run.Tag, Commit: run.SHA, Actor: run.Actor,
		Attempt: run.Attempt, Started: run.Time}
	for _, one := range run.Reviews {
		out.Reviews = append(out.Reviews, pages.Review(one))
	}
	return pages.Page{Title: fmt.Sprintf("Run %d", run.ID), Content: out}, true
}

// sourceView shows a file. A branch with a slash is found by its commit alone.
func sourceView(r *http.Request, st *state) (pages.Page, bool) {
	at, known := st.commitish(r.PathValue("ref"))
	content, there := st.Commits[at.SHA].Files[r.PathValue("path")]
	if !known || !there {
		return pages.Page{}, false
	}
	return pages.Page{Title: r.PathValue("path"),
		Content: pages.SourceOf(r.PathValue("path"), at.SHA, content)}, true
}

func latestPath(_ *http.Request, st *state) (string, bool) {
	latest := st.latest()
	if latest == nil {
		return "", false
	}
	return "releases/tag/" + latest.Tag, true
}

// checkPath leads from a check's run to its commit, which shows all of them.
func checkPath(r *http.Request, st *state) (string, bool) {
	at := slices.IndexFunc(st.Checks, func(run *checkRun) bool { return fmt.Sprint(run.ID) == r.PathValue("id") })
	if at < 0 {
		return "", false
	}
	return "commit/" + st.Checks[at].SHA, true
}
