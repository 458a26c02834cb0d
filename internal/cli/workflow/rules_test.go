package workflow_test

import (
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"

	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// family is whose releases a workflow makes.
func (f *file) family() (release.Family, bool) {
	for _, family := range release.Families() {
		if family.Workflow() == f.name {
			return family, true
		}
	}
	return "", false
}

// triggers: "Triggered by pushing a tag matching mero-kms-v*", and by nothing
// else; no other workflow runs for a tag, and none runs a stranger's code with
// the repository's rights.
func triggers(f *file) {
	if f.flow.Name == nil || f.flow.Name.Value+".yaml" != f.name {
		f.find(nil, "its name is not that of its file")
	}
	family, releases := f.family()
	for _, event := range f.flow.On {
		hook, _ := event.(*actionlint.WebhookEvent)
		switch {
		case event.EventName() == "pull_request_target":
			f.find(nil, "pull_request_target")
		case releases && (hook == nil || event.EventName() != "push" || hook.Branches != nil ||
			strings.Join(patterns(hook.Tags), " ") != string(family)+"-v*"):
			f.find(nil, "a release is made for something else than a tag %s-v*", family)
		case !releases && hook != nil && event.EventName() == "push" && (hook.Tags != nil || hook.Branches == nil):
			f.find(nil, "it runs for tags")
		}
	}
	for _, job := range f.jobs() {
		if has(f.performed(job), ":sign", ":publish") && !releases {
			f.find(job.Pos, "the verifier believes no signature of this workflow")
		}
	}
}

func patterns(filter *actionlint.WebhookEventFilter) (out []string) {
	if filter != nil {
		for _, v := range filter.Values {
			out = append(out, v.Value)
		}
	}
	return out
}

// concurrency: one release of a tag at a time, and none is cut off.
func concurrency(f *file) {
	c := f.flow.Concurrency
	if _, releases := f.family(); releases &&
		(c == nil || c.Group == nil || c.Group.Value != "release-${{ github.ref }}" ||
			c.CancelInProgress == nil || c.CancelInProgress.Value || c.CancelInProgress.Expression != nil) {
		f.find(nil, "releases of one tag run side by side, or cancel each other")
	}
}

// calls: every target that is called exists, and a call is a line of its own.
func calls(f *file) {
	for _, job := range f.jobs() {
		each(job, func(_ *actionlint.Step, run *actionlint.ExecRun) {
			words := called(run.Run.Value)
			if words == nil && strings.Contains(run.Run.Value, "mage") && !strings.Contains(run.Run.Value, "mage -compile ") {
				f.find(run.RunPos, "Mage is called in a way that cannot be judged")
			}
			if _, unknown := f.named(words); len(unknown) > 0 {
				f.find(run.RunPos, "no target: %s", strings.Join(unknown, ", "))
			}
		})
	}
}

// googles are inputs of Google's action and nothing that a release reads.
var googles = []string{"GCP_WORKLOAD_IDENTITY_PROVIDER", "GCP_SERVICE_ACCOUNT"}

// given: a step of Mage gets every variable that its steps read, a secret only
// when they read it, and nothing under another name.
func given(f *file) {
	known := map[string]config.Variable{}
	for _, v := range config.Variables() {
		known[v.Name] = v
	}
	for _, job := range f.jobs() {
		each(job, func(s *actionlint.Step, run *actionlint.ExecRun) {
			env := environ(f.flow.Env, job.Env, s.Env)
			for _, name := range slices.Sorted(maps.Keys(env)) {
				if _, ok := known[name]; !ok && !strings.Contains(run.Run.Value, "$"+name) && !hasEnv(job.Env, name) {
					f.find(s.Pos, "nothing reads %s", name)
				}
			}
			if words := called(run.Run.Value); words != nil {
				f.suits(job, s, env, known)
			}
		})
		uses(job, func(s *actionlint.Step, action *actionlint.ExecAction) {
			for _, in := range action.Inputs {
				f.references(s, "", in.Value.Value, known)
			}
		})
	}
}

func (f *file) suits(job *actionlint.Job, s *actionlint.Step, env map[string]string, known map[string]config.Variable) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		f.references(s, name, env[name], known)
	}
	if env["MERO_ENVIRONMENT"] != config.Production && env["MERO_ENVIRONMENT"] != config.Rehearsal {
		f.find(s.Pos, "MERO_ENVIRONMENT is not set")
	}
	own := f.own(job)
	for _, v := range config.Variables() {
		reads := slices.ContainsFunc(own, func(step string) bool {
			return slices.Contains(v.Needs, step) || slices.Contains(v.Uses, step)
		})
		_, set := env[v.Name]
		switch {
		case env["MERO_ENVIRONMENT"] == config.Rehearsal && reads: // which brings along what is not set
		case reads && !set && (v.Kind != config.KindRuntime || v.Name == "GITHUB_TOKEN"):
			f.find(s.Pos, "its steps read %s", v.Name)
		case !reads && set && v.Kind == config.KindSecret:
			f.find(s.Pos, "none of its steps reads %s", v.Name)
		}
	}
}

// references: what an expression takes from the repository's settings is known there under the same name.
func (f *file) references(s *actionlint.Step, name, value string, known map[string]config.Variable) {
	for kind, found := range map[config.Kind][]string{config.KindVariable: settings(value, "vars."),
		config.KindSecret: settings(value, "secrets.")} {
		for _, setting := range found {
			if slices.Contains(googles, setting) {
				continue
			}
			if known[setting].Kind != kind {
				f.find(s.Pos, "%s is no %s of a release", setting, kind)
			}
			if setting != name {
				f.find(s.Pos, "%s is passed as %q", setting, name)
			}
		}
	}
}

// settings are the names that follow the context in an expression.
func settings(value, context string) (out []string) {
	for _, after := range strings.Split(value, context)[1:] {
		out = append(out, after[:strings.IndexFunc(after+" ",
			func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') && (r < '0' || r > '9') })])
	}
	return out
}

// handed: what a job downloads was uploaded under that name.
func handed(f *file) {
	var uploaded []string
	for _, job := range f.jobs() {
		uses(job, func(_ *actionlint.Step, a *actionlint.ExecAction) {
			if strings.HasPrefix(a.Uses.Value, "actions/upload-artifact@") {
				uploaded = append(uploaded, input(a, "name"))
			}
		})
	}
	for _, job := range f.jobs() {
		uses(job, func(s *actionlint.Step, a *actionlint.ExecAction) {
			if !strings.HasPrefix(a.Uses.Value, "actions/download-artifact@") {
				return
			}
			pattern := input(a, "name") + input(a, "pattern")
			if !slices.ContainsFunc(uploaded, func(name string) bool { ok, _ := path.Match(pattern, name); return ok }) {
				f.find(s.Pos, "nothing uploads %s", pattern)
			}
		})
	}
}

func input(a *actionlint.ExecAction, name string) string {
	if in := a.Inputs[name]; in != nil {
		return in.Value.Value
	}
	return ""
}

func hasEnv(env *actionlint.Env, name string) bool { _, ok := environ(env)[name]; return ok }

// environ is what the levels set together; actionlint keeps names in lower case.
func environ(levels ...*actionlint.Env) map[string]string {
	out := map[string]string{}
	for _, level := range levels {
		if level == nil {
			continue
		}
		for _, v := range level.Vars {
			out[v.Name.Value] = v.Value.Value
		}
	}
	return out
}

// deserved are the rights that the steps of a job need; everything else is only read.
func (f *file) deserved(job *actionlint.Job) map[string]string {
	own := f.own(job)
	out := map[string]string{"contents": "read"}
	if has(own, ":publish", ":e2e", ":catalog", ":propose", ":promote") {
		out["contents"] = "write"
	}
	if has(own, "node:catalog", "kms:propose") {
		out["pull-requests"] = "write"
	}
	if has(own, "kms:build") {
		out["packages"] = "write"
	}
	if has(own, ":sign") {
		out["id-token"] = "write"
	}
	if has(own, ":version") { // CI's verdict, and the doctor about the environment
		out["actions"], out["checks"], out["statuses"] = "read", "read", "read"
	}
	if has(own, ":promote") { // the approvals of its run
		out["actions"] = "read"
	}
	if runsTarget(job, "verify:event") {
		out["statuses"] = "write"
	}
	return out
}

// runsTarget says whether a job calls a target that is no step.
func runsTarget(job *actionlint.Job, target string) (found bool) {
	each(job, func(_ *actionlint.Step, run *actionlint.ExecRun) {
		found = found || slices.Contains(called(run.Run.Value), target)
	})
	return found
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
			case name == "actions/checkout" && f.after("workflow_run") &&
				input(a, "ref") != "${{ github.event.repository.default_branch }}":
				f.find(pos, "the checkout is of another branch than the default one")
			case name == "actions/checkout" && f.after("workflow_run") && input(a, "fetch-depth") != "0":
				f.find(pos, "the checkout lacks the commits that releases were made of")
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

// diagnosed: the doctor asks, before anything else is done, for what the steps of its job use. What was judged
// elsewhere is merged before that, for he looks at it.
func diagnosed(f *file) {
	if _, releases := f.family(); !releases {
		return
	}
	for _, job := range f.jobs() {
		own := f.own(job)
		if has(own, ":promote") || strings.Join(own, "") == "kms:propose" || strings.Join(own, "") == "node:catalog" {
			continue // it asks nobody but GitHub, which it asks at once
		}
		asked := false
		each(job, func(s *actionlint.Step, run *actionlint.ExecRun) {
			words := called(run.Run.Value)
			if words == nil || asked {
				return
			}
			asked = true
			if words[0] == "release:merge" && len(words) > 3 {
				words = words[3:]
			}
			if steps := environ(s.Env)["STEPS"]; words[0] != "doctor" || words[1] != `-steps="$STEPS"` ||
				strings.Join(own, ",") != steps {
				f.find(run.RunPos, "the doctor does not ask for %s first", strings.Join(own, ","))
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
