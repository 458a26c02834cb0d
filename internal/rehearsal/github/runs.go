package github

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
)

// Run is a workflow run that a push of a tag starts.
type Run struct {
	Workflow string // its file, "release-kms-phala.yaml"
	Tag      string
	Commit   string
	Actor    string // who pushed
}

// Review is what somebody said of a run that waits for an environment.
type Review struct {
	Environment string
	By          string
	State       string // "approved" or "rejected"
	Comment     string
}

type workflowRun struct {
	ID       int64    `json:"id"`
	Workflow string   `json:"workflow"`
	Tag      string   `json:"tag"`
	SHA      string   `json:"sha"`
	Actor    string   `json:"actor"`
	Trigger  string   `json:"triggering_actor"`
	Attempt  int      `json:"attempt"`
	Time     string   `json:"time"`
	Reviews  []Review `json:"reviews,omitempty"`
}

// StartRun stands for the push that starts a workflow; it returns the run's id.
func (s *Server) StartRun(r Run) (id int64, err error) {
	err = s.change("start a run", func(st *state) {
		id = st.next()
		st.Runs = append(st.Runs, &workflowRun{ID: id, Workflow: r.Workflow, Tag: r.Tag, SHA: r.Commit, Actor: r.Actor,
			Trigger: r.Actor, Attempt: 1, Time: s.stamp()})
	})
	return id, err
}

// RunOf is the newest run that a push of the tag started; false when there is none.
func (s *Server) RunOf(tag string) (id int64, found bool, err error) {
	a := s.transact(func(st *state) *answer {
		for _, run := range st.Runs {
			if run.Tag == tag {
				id, found = run.ID, true
			}
		}
		return ok(nil)
	}, false)
	if a.status != http.StatusOK {
		err = fmt.Errorf("look for a run: %v", a.body)
	}
	return id, found, err
}

// Rerun stands for somebody who runs the failed jobs of a run again.
func (s *Server) Rerun(id int64, by string) error {
	return s.withRun(id, func(run *workflowRun) error {
		run.Attempt, run.Trigger = run.Attempt+1, by
		return nil
	})
}

// Review stands for a reviewer who approves or rejects, which GitHub allows to
// the environment's reviewers alone.
func (s *Server) Review(id int64, r Review) error {
	return s.withRun(id, func(run *workflowRun) error {
		if e := s.settings.Environments[r.Environment]; !e.mayReview(r.By, run) {
			return fmt.Errorf("%s may not approve deployments to %s", r.By, r.Environment)
		}
		run.Reviews = append(run.Reviews, r)
		return nil
	})
}

func (s *Server) withRun(id int64, f func(*workflowRun) error) (err error) {
	failed := s.change("change a run", func(st *state) {
		at := slices.IndexFunc(st.Runs, func(run *workflowRun) bool { return run.ID == id })
		if at < 0 {
			err = fmt.Errorf("there is no run %d", id)
			return
		}
		err = f(st.Runs[at])
	})
	if err == nil {
		err = failed
	}
	return err
}

func (st *state) run(r *http.Request) *workflowRun {
	id, err := strconv.ParseInt(r.PathValue("run"), 10, 64)
	at := slices.IndexFunc(st.Runs, func(run *workflowRun) bool { return err == nil && run.ID == id })
	if at < 0 {
		return nil
	}
	return st.Runs[at]
}

func (s *Server) getRun(r *http.Request, st *state) *answer {
	run := st.run(r)
	if run == nil {
		return missing
	}
	api := s.apiURL("actions/runs/%d", run.ID)
	repository := s.showRepositoryMinimally()
	return ok(fields{"id": run.ID, "node_id": node("WorkflowRun", run.ID), "run_number": run.ID, "name": run.Workflow,
		"head_branch": run.Tag, "head_sha": run.SHA, "path": ".github/workflows/" + run.Workflow, "display_title": run.Tag,
		"event": "push", "status": "in_progress", "conclusion": nil, "workflow_id": 1, "url": api,
		"html_url": s.webURL("actions/runs/%d", run.ID), "pull_requests": []any{}, "run_attempt": run.Attempt,
		"actor": s.person(run.Actor), "triggering_actor": s.person(run.Trigger),
		"head_commit": nil, "repository": repository, "head_repository": repository,
		"check_suite_url": s.apiURL("check-suites/%d", run.ID), "workflow_url": s.apiURL("actions/workflows/1"),
	}.set(run.Time, "created_at", "updated_at").below(api, "jobs", "logs", "cancel", "rerun", "artifacts"))
}

func (s *Server) listReviews(r *http.Request, st *state) *answer {
	run := st.run(r)
	if run == nil {
		return missing
	}
	list := []any{}
	for _, one := range run.Reviews {
		list = append(list, fields{"state": one.State, "comment": one.Comment, "user": s.person(one.By),
			"environments": []any{s.showEnvironment(one.Environment)}})
	}
	return ok(list)
}
