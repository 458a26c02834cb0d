package workflow_test

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// deserved are the rights that the steps of a job need; everything else is only read.
func (f *file) deserved(job *actionlint.Job) map[string]string {
	own := f.own(job)
	out := map[string]string{"contents": "read"}
	if has(own, ":publish", ":e2e", ":catalog", ":promote") {
		out["contents"] = "write"
	}
	if has(own, "node:catalog", "kms:promote") {
		out["pull-requests"] = "write"
	}
	if has(own, "kms:build") {
		out["packages"] = "write"
	}
	if has(own, ":sign") {
		out["id-token"] = "write"
	}
	return out
}

// permissions: none for the workflow, and for each job exactly what its steps
// need. A job that could sign makes nothing of sources.
func permissions(f *file) {
	if p := f.flow.Permissions; p == nil || p.All != nil || len(p.Scopes) > 0 {
		f.find(nil, "the workflow itself has permissions")
	}
	for _, job := range f.jobs() {
		want := f.deserved(job)
		if job.Permissions == nil || job.Permissions.All != nil {
			f.find(job.Pos, "job %s does not list its permissions", job.ID.Value)
			continue
		}
		for name, scope := range job.Permissions.Scopes {
			if want[name] != scope.Value.Value {
				f.find(job.Pos, "job %s has %s: %s", job.ID.Value, name, scope.Value.Value)
			}
			delete(want, name)
		}
		for name, value := range want {
			f.find(job.Pos, "job %s lacks %s: %s", job.ID.Value, name, value)
		}
		f.signer(job)
	}
}

// signer is for the jobs that could sign: what they sign was made elsewhere, on
// a machine without that right, and no cache gets in. The verifier believes
// runners of GitHub alone.
func (f *file) signer(job *actionlint.Job) {
	if job.Permissions.Scopes["id-token"] == nil {
		return
	}
	if own := f.own(job); has(own, ":build", ":measure") {
		f.find(job.Pos, "job %s could sign, and builds", job.ID.Value)
	}
	for _, event := range f.flow.On {
		if name := event.EventName(); strings.HasPrefix(name, "pull_request") || name == "workflow_run" {
			f.find(job.Pos, "job %s could sign, and runs for %s", job.ID.Value, name)
		}
	}
	if r := job.RunsOn; r == nil || len(r.Labels) != 1 || !strings.HasPrefix(r.Labels[0].Value, "ubuntu-") {
		f.find(job.Pos, "job %s could sign, and is not GitHub's machine", job.ID.Value)
	}
}

var (
	pinned  = regexp.MustCompile(`^[A-Za-z0-9-]+/[A-Za-z0-9._/-]+@[0-9a-f]{40}$`)
	comment = regexp.MustCompile(`@[0-9a-f]{40} # v\d+\.\d+\.\d+$`)
)

// actions: pinned by full SHA with the version as a comment; a checkout leaves
// no token behind; where something is released, Go is set up without a cache.
func actions(f *file) {
	_, releases := f.family()
	for _, job := range f.jobs() {
		uses(job, func(s *actionlint.Step, a *actionlint.ExecAction) {
			pos := a.Uses.Pos
			if !pinned.MatchString(a.Uses.Value) || !comment.MatchString(f.lines[pos.Line-1]) {
				f.find(pos, "%s is not pinned by SHA, with its version", a.Uses.Value)
			}
			name, _, _ := strings.Cut(a.Uses.Value, "@")
			switch {
			case name == "actions/checkout" && input(a, "persist-credentials") != "false":
				f.find(pos, "the checkout keeps its token")
			case name == "actions/checkout" && f.after("workflow_run") && input(a, "ref") != "${{ github.event.repository.default_branch }}":
				f.find(pos, "the checkout is of another branch than the default one")
			case name == "actions/setup-go" && releases && input(a, "cache") != "false":
				f.find(pos, "Go comes with a cache")
			case name == "actions/cache":
				f.find(pos, "a cache")
			}
		})
		if job.TimeoutMinutes == nil {
			f.find(job.Pos, "job %s has no timeout", job.ID.Value)
		}
		if job.WorkflowCall != nil || job.Container != nil || job.Services != nil {
			f.find(job.Pos, "job %s runs something else than steps", job.ID.Value)
		}
	}
}

func (f *file) after(event string) bool {
	return slices.ContainsFunc(f.flow.On, func(e actionlint.Event) bool { return e.EventName() == event })
}

// runs: no expression becomes part of a script.
func runs(f *file) {
	for _, job := range f.jobs() {
		each(job, func(_ *actionlint.Step, run *actionlint.ExecRun) {
			if strings.Contains(run.Run.Value, "${{") {
				f.find(run.RunPos, "an expression in a script")
			}
		})
	}
}

// approval: what promotes a stable release waits for the auditor's environment, and candidates do not come there.
func approval(f *file) {
	for _, job := range f.jobs() {
		waits := job.Environment != nil && job.Environment.Name.Value == "release-auditor"
		stable := job.If != nil && job.If.Value == "${{ !contains(github.ref_name, '-rc.') }}"
		if has(f.own(job), ":promote") && (!waits || !stable) {
			f.find(job.Pos, "job %s promotes without an approval, or candidates", job.ID.Value)
		}
	}
}
