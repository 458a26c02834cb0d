package github

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
)

func (s *Server) listPulls(r *http.Request, st *state) answer {
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

func (s *Server) createPull(r *http.Request, st *state) answer {
	var in struct{ Title, Head, Base, Body string }
	if bad := decode(r, &in); bad != nil {
		return *bad
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
			return invalid("PullRequest", "", "custom", fmt.Sprintf("A pull request already exists for %s:%s.", s.ownerName(), in.Head))
		}
	}
	p := &pull{Number: st.next(), Title: in.Title, Body: in.Body, Head: in.Head, Base: in.Base, State: "open", CreatedAt: s.stamp()}
	st.Pulls = append(st.Pulls, p)
	shown := s.showPull(st, p)
	maps.Copy(shown, fields{"merged": false, "mergeable": nil, "mergeable_state": "unknown", "merged_by": nil, "maintainer_can_modify": false,
		"comments": 0, "review_comments": 0, "commits": 1, "additions": 0, "deletions": 0, "changed_files": 1})
	return created(shown)
}

// addLabels adds labels to a pull request, which is an issue too. One that the
// repository does not know is made, as GitHub does for who may write.
func (s *Server) addLabels(r *http.Request, st *state) answer {
	var in struct{ Labels []string }
	if bad := decode(r, &in); bad != nil {
		return *bad
	}
	if len(in.Labels) == 0 || slices.Contains(in.Labels, "") {
		return fail(http.StatusUnprocessableEntity, "Invalid request.\n\nNo subschema in \"oneOf\" matched.")
	}
	at := slices.IndexFunc(st.Pulls, func(p *pull) bool { return strconv.FormatInt(p.Number, 10) == r.PathValue("number") })
	if at < 0 {
		return missing
	}
	p := st.Pulls[at]
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

func (s *Server) showLabels(st *state, p *pull) []any {
	out := []any{}
	for _, name := range p.Labels {
		out = append(out, fields{"id": st.Labels[name], "node_id": node("Label", st.Labels[name]), "url": s.apiURL("labels/%s", name),
			"name": name, "description": nil, "color": "ededed", "default": false})
	}
	return out
}
