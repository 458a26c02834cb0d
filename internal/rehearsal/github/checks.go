package github

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// checkNames are the checks that a pull request of this repository starts, and a
// push to main or to a hotfix's branch.
var checkNames = []string{"ci", "pr-doc-guard"}

// Actions is the app of GitHub Actions, which reports what workflows did.
var Actions = App{ID: 15368, Slug: "github-actions"}

// App is one that reports checks.
type App struct {
	ID   int64  `json:"id"`
	Slug string `json:"slug"`
}

// Check is a run of a check, to be reported.
type Check struct {
	Commit, Name string
	App          App
	Conclusion   string // "success", "failure"…; empty: it has not ended
	// Reads is after how many times of being listed it has succeeded, if it has
	// not ended; 0: never.
	Reads int
}

type checkRun struct {
	ID         int64  `json:"id"`
	SHA        string `json:"sha"`
	Name       string `json:"name"`
	App        App    `json:"app"`
	Conclusion string `json:"conclusion,omitempty"`
	Time       string `json:"time"`
}

// startChecks is what the workflows ci and pr-doc-guard do at a push of a commit
// that they have not seen. (A branch is moved back to one only by a rehearsal
// that is run again, and then nothing may happen twice.)
func (st *state) startChecks(ref, sha string) {
	if ref != "refs/heads/"+defaultBranch && !strings.HasPrefix(ref, "refs/heads/hotfix/") {
		return
	}
	if slices.ContainsFunc(st.Checks, func(run *checkRun) bool { return run.SHA == sha }) {
		return
	}
	for _, name := range checkNames {
		st.Checks = append(st.Checks, &checkRun{ID: st.next(), SHA: sha, Name: name, App: Actions})
	}
}

// Report stands for an app that reports a new run of a check.
func (s *Server) Report(c Check) error {
	return s.change("report check "+c.Name, func(st *state) {
		run := &checkRun{ID: st.next(), SHA: c.Commit, Name: c.Name, App: c.App, Conclusion: c.Conclusion, Time: s.stamp()}
		st.Checks = append(st.Checks, run)
		if c.Reads > 0 {
			s.ending[run.ID] = c.Reads
		}
	})
}

// Conclude stands for the end of the workflows that a push of the commit started:
// each of their checks that has not ended ends so.
func (s *Server) Conclude(commit, conclusion string) error {
	return s.change("conclude checks", func(st *state) {
		for _, run := range st.Checks {
			if run.SHA == commit && run.Conclusion == "" {
				run.Conclusion, run.Time = conclusion, s.stamp()
			}
		}
	})
}

// Withdraw makes a commit one that no app and nobody ever said anything of, as
// one with [skip ci] in its message.
func (s *Server) Withdraw(commit string) error {
	return s.change("withdraw checks", func(st *state) {
		st.Checks = slices.DeleteFunc(st.Checks, func(run *checkRun) bool { return run.SHA == commit })
		st.Statuses = slices.DeleteFunc(st.Statuses, func(one *status) bool { return one.SHA == commit })
	})
}

// SayStatus stands for somebody who may write to the repository and gives a commit a status.
func (s *Server) SayStatus(commit, context, says, by string) error {
	return s.change("status "+context, func(st *state) {
		st.Statuses = append(st.Statuses,
			&status{ID: st.next(), SHA: commit, Context: context, State: says, By: by, Time: s.stamp(),
				TargetURL: "https://ci.example/" + context})
	})
}

// change is for what people and apps do besides the API calls of a release.
func (s *Server) change(what string, f func(*state)) error {
	a := s.transact(func(st *state) *answer { f(st); return ok(nil) }, true)
	if a.status != http.StatusOK {
		return fmt.Errorf("%s: %v", what, a.body)
	}
	return nil
}

// listChecks lists the checks of a commit.
func (s *Server) listChecks(r *http.Request, st *state) *answer {
	at, known := st.commitish(r.PathValue("ref"))
	if !known {
		return invalid("CheckRun", "ref", "custom", "No commit found for SHA: "+r.PathValue("ref"))
	}
	runs := []any{}
	for _, run := range st.pullChecks(at.SHA) {
		runs = append(runs, s.showCheck(run))
	}
	for _, run := range st.pushChecks(at.SHA, r.URL.Query().Get("filter") == "all") {
		runs = append(runs, s.showCheck(s.asRead(run)))
	}
	a := page(r, runs)
	a.body = fields{"total_count": len(runs), "check_runs": a.body}
	return a
}

// pullChecks are the checks of the open pull requests that a commit is the head
// of, queued for ever, because no workflow runs here.
func (st *state) pullChecks(sha string) (out []*checkRun) {
	for _, p := range st.Pulls {
		if p.Checked && p.State == "open" && st.Refs["refs/heads/"+p.Head].SHA == sha {
			for i, name := range checkNames {
				out = append(out, &checkRun{ID: p.Number*10 + int64(i), Name: name, SHA: sha, App: Actions})
			}
		}
	}
	return out
}

// pushChecks are the checks of a commit's pushes, the newest first: of one that
// ran again its last run, or all of them.
func (st *state) pushChecks(sha string, all bool) (out []*checkRun) {
	for i, run := range slices.Backward(st.Checks) {
		again := func(later *checkRun) bool {
			return later.SHA == run.SHA && later.Name == run.Name && later.App == run.App
		}
		if run.SHA == sha && (all || !slices.ContainsFunc(st.Checks[i+1:], again)) {
			out = append(out, run)
		}
	}
	return out
}

// asRead is a check run as this read sees it: one that ends after some reads may have.
func (s *Server) asRead(run *checkRun) *checkRun {
	left, ends := s.ending[run.ID]
	if !ends || run.Conclusion != "" {
		return run
	}
	if left > 0 {
		s.ending[run.ID] = left - 1
		return run
	}
	ended := *run
	ended.Conclusion, ended.Time = "success", s.stamp()
	return &ended
}

func (s *Server) showCheck(run *checkRun) fields {
	f := fields{"id": run.ID, "node_id": node("CheckRun", run.ID), "name": run.Name, "head_sha": run.SHA,
		"status": "queued", "external_id": "", "pull_requests": []any{}, "check_suite": fields{"id": run.ID},
		"app": s.showApp(run.App),
		"url": s.apiURL("check-runs/%d", run.ID), "html_url": s.webURL("runs/%d", run.ID),
		"output": fields{"annotations_count": 0, "annotations_url": s.apiURL("check-runs/%d/annotations", run.ID)}.
			set(nil, "title", "summary", "text"),
	}.set(nil, "conclusion", "details_url", "started_at", "completed_at")
	if run.Conclusion != "" {
		f.set(run.Time, "started_at", "completed_at")
		f["status"], f["conclusion"] = "completed", run.Conclusion
	}
	return f
}

func (s *Server) showApp(a App) fields {
	return fields{"id": a.ID, "slug": a.Slug, "node_id": node("App", a.ID), "name": a.Slug, "owner": s.user(),
		"description": "", "external_url": "https://" + webHost, "html_url": "https://" + webHost + "/apps/" + a.Slug,
		"permissions": fields{}, "events": []any{}}.set("2018-07-30T09:30:17Z", "created_at", "updated_at")
}

// listStatuses: "Statuses are returned in reverse chronological order."
func (s *Server) listStatuses(r *http.Request, st *state) *answer {
	at, known := st.commitish(r.PathValue("ref"))
	if !known {
		return invalid("Commit", "ref", "custom", "No commit found for SHA: "+r.PathValue("ref"))
	}
	list := []any{}
	for _, one := range slices.Backward(st.Statuses) {
		if one.SHA == at.SHA {
			list = append(list, s.showStatus(one))
		}
	}
	return page(r, list)
}
