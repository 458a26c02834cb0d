package github

import "net/http"

// checkNames are the checks that a pull request of this repository starts.
var checkNames = []string{"ci", "pr-doc-guard"}

// listChecks lists the checks of a commit. They are those of the open pull
// requests that it is the head of: here no workflow runs, so they stay queued.
func (s *Server) listChecks(r *http.Request, st *state) *answer {
	at, known := st.commitish(r.PathValue("ref"))
	if !known {
		return invalid("CheckRun", "ref", "custom", "No commit found for SHA: "+r.PathValue("ref"))
	}
	runs := []any{}
	for _, p := range st.Pulls {
		if p.Checked && p.State == "open" && st.Refs["refs/heads/"+p.Head] == at {
			for i, name := range checkNames {
				runs = append(runs, s.showCheck(p, int64(i), name, at.SHA))
			}
		}
	}
	a := page(r, runs)
	a.body = fields{"total_count": len(runs), "check_runs": a.body}
	return a
}

func (s *Server) showCheck(p *pull, nth int64, name, sha string) fields {
	id := p.Number*10 + nth
	return fields{"id": id, "node_id": node("CheckRun", id), "name": name, "head_sha": sha, "status": "queued",
		"external_id": "", "pull_requests": []any{}, "check_suite": fields{"id": p.Number},
		"url": s.apiURL("check-runs/%d", id), "html_url": s.webURL("runs/%d", id),
		"output": fields{"annotations_count": 0, "annotations_url": s.apiURL("check-runs/%d/annotations", id)}.
			set(nil, "title", "summary", "text"),
	}.set(nil, "app", "conclusion", "details_url", "started_at", "completed_at")
}
