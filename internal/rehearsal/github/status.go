package github

import (
	"fmt"
	"net/http"
	"strings"
	"unicode/utf8"
)

// status is what somebody who may write statuses said of a commit.
type status struct {
	ID          int64  `json:"id"`
	SHA         string `json:"sha"`
	Context     string `json:"context"`
	State       string `json:"state"`
	By          string `json:"by"`
	Time        string `json:"time"`
	Description string `json:"description,omitempty"`
	TargetURL   string `json:"target_url,omitempty"`
}

const (
	maxStatuses    = 1000 // of one context, on one commit
	maxDescription = 140  // characters
)

// createStatus: "Users with push access in a repository can create commit statuses for a given SHA."
func (s *Server) createStatus(r *http.Request, st *state) *answer {
	in := status{Context: "default"}
	if a := decode(r, &in); a != nil {
		return a
	}
	at, known := st.commitish(r.PathValue("sha"))
	switch {
	case !known || at.SHA != r.PathValue("sha"):
		return fail(http.StatusUnprocessableEntity, "No commit found for SHA: "+r.PathValue("sha"))
	case utf8.RuneCountInString(in.Description) > maxDescription:
		return invalid("Status", "description", "custom",
			fmt.Sprintf("description is too long (maximum is %d characters)", maxDescription))
	case in.TargetURL != "" && !strings.HasPrefix(in.TargetURL, "https://"):
		return invalid("Status", "target_url", "custom", "target_url must use http(s) scheme")
	case st.saidOften(at.SHA, in.Context):
		return invalid("Status", "base", "custom", "This SHA and context has reached the maximum number of statuses.")
	}
	one := &status{ID: st.next(), SHA: at.SHA, Context: in.Context, State: in.State, By: s.ownerName(), Time: s.stamp(),
		Description: in.Description, TargetURL: in.TargetURL}
	st.Statuses = append(st.Statuses, one)
	return created(s.showStatus(one))
}

// saidOften: a context has as many statuses on a commit as GitHub takes.
func (st *state) saidOften(sha, context string) bool {
	n := 0
	for _, o := range st.Statuses {
		if o.SHA == sha && o.Context == context {
			n++
		}
	}
	return n >= maxStatuses
}

func (s *Server) showStatus(one *status) fields {
	f := fields{"id": one.ID, "node_id": node("Status", one.ID), "state": one.State, "context": one.Context,
		"url": s.apiURL("statuses/%s", one.SHA), "creator": s.person(one.By), "description": one.Description,
		"target_url": one.TargetURL}.set(nil, "avatar_url").set(one.Time, "created_at", "updated_at")
	for _, name := range []string{"description", "target_url"} {
		if f[name] == "" {
			f[name] = nil
		}
	}
	return f
}
