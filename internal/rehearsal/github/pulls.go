package github

import (
	"fmt"
	"net/http"
	"slices"
)

func (s *Server) listPulls(r *http.Request, st *state) *answer {
	query, list := r.URL.Query(), []any{}
	wanted := func(name, is string) bool { return query.Get(name) == "" || query.Get(name) == is }
	state := query.Get("state")
	for _, p := range st.Pulls {
		open := state == "all" || state == p.State || state == "" && p.State == "open"
		if open && wanted("head", s.ownerName()+":"+p.Head) && wanted("base", p.Base) {
			list = append(list, s.showPull(st, p))
		}
	}
	return page(r, list)
}

func (s *Server) createPull(r *http.Request, st *state) *answer {
	if who(r).Kind == job && !s.actionsOpenPulls {
		return fail(http.StatusForbidden, "GitHub Actions is not permitted to create or approve pull requests.")
	}
	var in struct{ Title, Head, Base, Body string }
	if bad := decode(r, &in); bad != nil {
		return bad
	}
	head, headThere := st.Refs["refs/heads/"+in.Head]
	base, baseThere := st.Refs["refs/heads/"+in.Base]
	switch {
	case !headThere:
		return invalid("PullRequest", "head", "invalid", "")
	case !baseThere:
		return invalid("PullRequest", "base", "invalid", "")
	case head == base:
		return invalid("PullRequest", "", "custom", fmt.Sprintf("No commits between %s and %s", in.Base, in.Head))
	}
	for _, p := range st.Pulls {
		if p.State == "open" && p.Head == in.Head && p.Base == in.Base {
			return invalid("PullRequest", "", "custom",
				fmt.Sprintf("A pull request already exists for %s:%s.", s.ownerName(), in.Head))
		}
	}
	p := &pull{Number: st.next(), Title: in.Title, Body: in.Body, Head: in.Head, Base: in.Base, State: "open",
		CreatedAt: s.stamp(), Checked: who(r).Kind != job} // what a job's token does starts no workflow
	st.Pulls = append(st.Pulls, p)
	return created(s.showPull(st, p).set(false, "merged", "maintainer_can_modify").
		set(nil, "mergeable", "merged_by").set("unknown", "mergeable_state").set(1, "commits", "changed_files").
		set(0, "comments", "review_comments", "additions", "deletions"))
}

// addLabels adds labels to a pull request, which is an issue too. One that the
// repository does not know is made, for those alone who may write issues.
func (s *Server) addLabels(r *http.Request, st *state) *answer {
	asker := who(r)
	if !asker.may(writeIssues) && !asker.may(writePullRequests) {
		return asker.refuse(writeIssues)
	}
	var in struct{ Labels []string }
	if bad := decode(r, &in); bad != nil {
		return bad
	}
	if len(in.Labels) == 0 || slices.Contains(in.Labels, "") {
		return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nNo subschema in \"oneOf\" matched.")
	}
	at := slices.IndexFunc(st.Pulls, func(p *pull) bool { return fmt.Sprint(p.Number) == r.PathValue("number") })
	if at < 0 {
		return missing
	}
	p := st.Pulls[at]
	fresh := func(name string) bool { _, known := st.Labels[name]; return !known }
	if slices.ContainsFunc(in.Labels, fresh) && !asker.may(writeIssues) {
		return unauthorized("You do not have permission to create labels on this repository.", "Repository", "label")
	}
	for _, name := range in.Labels {
		if _, known := st.Labels[name]; !known {
			st.Labels[name] = st.next()
		}
		if !slices.Contains(p.Labels, name) {
			p.Labels = append(p.Labels, name)
		}
	}
	return ok(s.showLabels(st, p))
}
