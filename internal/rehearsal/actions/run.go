package actions

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/rhysd/actionlint"
)

// Result is how a job ended; "" while it has not.
type Result string

// The results that a job can have.
const (
	Success Result = "success"
	Failure Result = "failure"
	Skipped Result = "skipped"
)

// Run is one run of a workflow for a tag.
type Run struct {
	ID      int
	Tag     string
	Commit  string
	Attempt int // 1 for the first
	// Before, unless nil, is called before a step's script, which it may give other variables: its error is the step's.
	Before func(j *Job, script string, env map[string]string) error
	// Refuse, unless nil, says of hosts that a job cannot reach them.
	Refuse func(j *Job, host string) bool

	service   *Service
	flow      *actionlint.Workflow
	file      string // of the workflow
	dir       string
	artifacts *artifacts

	mu   sync.Mutex
	jobs []*Job
}

func (s *Service) newRun(ctx context.Context, flow *actionlint.Workflow, file, tag string) (*Run, error) {
	commit, err := s.git(ctx, "rev-parse", tag+"^{commit}")
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.runs++
	dir := filepath.Join(s.o.Dir, strconv.Itoa(s.runs))
	r := &Run{ID: s.runs, Tag: tag, Commit: strings.TrimSpace(commit), service: s, flow: flow, file: file, dir: dir,
		artifacts: &artifacts{dir: filepath.Join(dir, "artifacts")}}
	if s.o.Record != nil {
		r.ID, err = s.o.Record.Started(file, tag, r.Commit, s.o.Actor)
	}
	return r, err
}

// Workflow is the name of the workflow's file.
func (r *Run) Workflow() string { return r.file }

// Start runs every job that is due, as the workflow's concurrency lets it. Its
// error is of the workflow itself; how the jobs ended, Result says.
func (r *Run) Start(ctx context.Context) error {
	if r.Attempt > 0 {
		return errors.New("the run was started already")
	}
	var jobs []*Job
	for _, id := range slices.Sorted(maps.Keys(r.flow.Jobs)) {
		all, err := r.expand(r.flow.Jobs[id])
		if err != nil {
			return err
		}
		jobs = append(jobs, all...)
	}
	r.jobs = jobs
	return r.attempt(ctx)
}

// Rerun is "re-run failed jobs": those that failed, and all that wait for them.
// What others uploaded is still there.
func (r *Run) Rerun(ctx context.Context) error {
	again := map[string]bool{}
	for changed := true; changed; {
		changed = false
		for _, j := range r.jobs {
			needs := func(need *actionlint.String) bool { return again[strings.ToLower(need.Value)] }
			if !again[j.id] && (j.Result == Failure || slices.ContainsFunc(j.spec.Needs, needs)) {
				again[j.id], changed = true, true
			}
		}
	}
	for _, j := range r.jobs {
		if again[j.id] && (j.Result != Success || slices.ContainsFunc(j.spec.Needs, func(n *actionlint.String) bool {
			return again[strings.ToLower(n.Value)]
		})) {
			j.Result = ""
		}
	}
	return r.attempt(ctx)
}

// RerunAll is "re-run all jobs": nothing that was uploaded is left.
func (r *Run) RerunAll(ctx context.Context) error {
	r.artifacts = &artifacts{dir: filepath.Join(r.dir, fmt.Sprintf("artifacts-%d", r.Attempt+1))}
	for _, j := range r.jobs {
		j.Result = ""
	}
	return r.attempt(ctx)
}

func (r *Run) attempt(ctx context.Context) error {
	r.Attempt++
	if record := r.service.o.Record; record != nil && r.Attempt > 1 {
		if err := record.RunAgain(r.ID, r.service.o.Actor); err != nil {
			return err
		}
	}
	if c := r.flow.Concurrency; c != nil && c.Group != nil {
		name, err := r.contexts(nil).text(c.Group.Value, nil)
		if err != nil {
			return err
		}
		group := r.service.group(name)
		group.Lock()
		defer group.Unlock()
	}
	for ctx.Err() == nil {
		due := r.due()
		if len(due) == 0 {
			return r.stuck()
		}
		var wait sync.WaitGroup
		errs := make([]error, len(due))
		for i, j := range due {
			wait.Go(func() { errs[i] = j.perform(ctx) })
		}
		wait.Wait()
		if err := errors.Join(errs...); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// due are the jobs that have not ended, and all of whose needs have.
func (r *Run) due() (out []*Job) {
	for _, j := range r.jobs {
		if j.Result == "" && !slices.ContainsFunc(j.needs(), func(n *Job) bool { return n.Result == "" }) {
			out = append(out, j)
		}
	}
	return out
}

func (r *Run) stuck() error {
	for _, j := range r.jobs {
		if j.Result == "" {
			return fmt.Errorf("job %s waits for ever", j.Name)
		}
	}
	return nil
}

// Result is failure when any job's is.
func (r *Run) Result() Result {
	for _, j := range r.jobs {
		if j.Result == Failure {
			return Failure
		}
	}
	return Success
}

// Job finds a job by its name, such as "image (debug)"; nil when there is none.
func (r *Run) Job(name string) *Job {
	for _, j := range r.jobs {
		if j.Name == name {
			return j
		}
	}
	return nil
}

// Jobs are all jobs, by name.
func (r *Run) Jobs() []*Job { return slices.Clone(r.jobs) }

// expand makes one job of each combination of the matrix.
func (r *Run) expand(spec *actionlint.Job) ([]*Job, error) {
	id := strings.ToLower(spec.ID.Value)
	combinations := []map[string]string{{}}
	if spec.Strategy != nil && spec.Strategy.Matrix != nil {
		m := spec.Strategy.Matrix
		if m.Include != nil || m.Exclude != nil || m.Expression != nil {
			return nil, fmt.Errorf("job %s: such a matrix is not known here", id)
		}
		for _, name := range slices.Sorted(maps.Keys(m.Rows)) {
			var next []map[string]string
			for _, before := range combinations {
				for _, value := range m.Rows[name].Values {
					one := maps.Clone(before)
					one[name] = strings.Trim(value.String(), `"`)
					next = append(next, one)
				}
			}
			combinations = next
		}
	}
	var out []*Job
	for _, c := range combinations {
		out = append(out, &Job{Name: jobName(spec.ID.Value, c), id: id, spec: spec, matrix: c, run: r,
			environment: environmentOf(spec)})
	}
	return out, nil
}

func environmentOf(spec *actionlint.Job) string {
	if spec.Environment == nil {
		return ""
	}
	return spec.Environment.Name.Value
}

func jobName(id string, matrix map[string]string) string {
	if len(matrix) == 0 {
		return id
	}
	var values []string
	for _, name := range slices.Sorted(maps.Keys(matrix)) {
		values = append(values, matrix[name])
	}
	return id + " (" + strings.Join(values, ", ") + ")"
}

// contexts are what expressions of a run, or of one of its jobs, may speak of.
func (r *Run) contexts(j *Job) contexts {
	o := r.service.o
	github := map[string]any{
		"ref": "refs/tags/" + r.Tag, "ref_name": r.Tag, "ref_type": "tag", "sha": r.Commit, "event_name": "push",
		"repository": o.Repository, "actor": o.Actor, "run_id": strconv.Itoa(r.ID), "workflow": r.flow.Name.Value,
		"run_attempt": strconv.Itoa(r.Attempt),
	}
	c := contexts{"github": github, "vars": o.Vars}
	if j == nil {
		return c
	}
	needs := map[string]any{}
	for _, n := range j.needs() {
		needs[n.id] = map[string]any{"result": string(n.Result)}
	}
	c["needs"], c["matrix"] = needs, j.matrix
	return c
}
