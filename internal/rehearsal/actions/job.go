package actions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rhysd/actionlint"
)

// Job is one job of a run, of one combination of its matrix.
type Job struct {
	Name   string // "promote", "image (debug)"
	Result Result
	Log    []string // of its last attempt
	Hosts  []string // that its last attempt asked for, each once

	id          string
	spec        *actionlint.Job
	matrix      map[string]string
	run         *Run
	environment string

	token, bearer string // of this attempt
	work          string // the machine's folder
	env           map[string]string
	failed        bool
	way           *way
}

// needs are the jobs that it waits for, all combinations of each.
func (j *Job) needs() (out []*Job) {
	for _, need := range j.spec.Needs {
		for _, other := range j.run.jobs {
			if other.id == strings.ToLower(need.Value) {
				out = append(out, other)
			}
		}
	}
	return out
}

// Permissions are the job's own: what it does not list it has not.
func (j *Job) Permissions() map[string]string {
	p := j.spec.Permissions
	if p == nil {
		p = j.run.flow.Permissions
	}
	out := map[string]string{}
	if p == nil {
		return map[string]string{"contents": "read", "packages": "read"} // "workflow permissions: read"
	}
	for name, scope := range p.Scopes {
		out[name] = scope.Value.Value
	}
	return out
}

// Run is the job's.
func (j *Job) Run() *Run { return j.run }

// succeeded: a job runs when all before it succeeded, also those that it waits for through others.
func (j *Job) succeeded() bool {
	for _, n := range j.needs() {
		if n.Result != Success || !n.succeeded() {
			return false
		}
	}
	return true
}

// perform runs the job, if its condition holds and its environment lets it. The error is not the job's but ours.
func (j *Job) perform(ctx context.Context) error {
	j.Log, j.Hosts, j.failed = nil, nil, false
	ok, err := j.run.contexts(j).holds(j.spec.If, functions{"success": j.succeeded(), "failure": !j.succeeded(),
		"always": true, "cancelled": false})
	switch {
	case err != nil:
		return fmt.Errorf("job %s: %w", j.Name, err)
	case !ok:
		j.Result = Skipped
		return nil
	}
	if err := j.admitted(ctx); err != nil {
		j.say("##[error]" + err.Error())
		j.Result = Failure
		return nil
	}
	limit := 6 * time.Hour
	if t := j.spec.TimeoutMinutes; t != nil {
		limit = time.Duration(t.Value * float64(time.Minute))
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := j.onMachine(ctx); err != nil {
		return fmt.Errorf("job %s: %w", j.Name, err)
	}
	j.Result = Success
	if j.failed {
		j.Result = Failure
	}
	return nil
}

// admitted waits for the environment's reviewers. An environment that nobody made protects nothing.
func (j *Job) admitted(ctx context.Context) error {
	e, made := j.run.service.o.Environments[j.environment]
	if !made {
		return nil
	}
	fits := func(pattern string) bool { return matches(pattern, j.run.Tag) }
	if len(e.Tags) > 0 && !slices.ContainsFunc(e.Tags, fits) {
		return fmt.Errorf("tag %s is not allowed to deploy to %s due to environment protection rules", j.run.Tag,
			j.environment)
	}
	if len(e.Reviewers) == 0 {
		return nil
	}
	who := e.Approve(ctx, j.run)
	if who != "" && (!slices.Contains(e.Reviewers, who) || who == j.run.service.o.Actor && !e.SelfReview) {
		return fmt.Errorf("%s may not approve deployments to %s", who, j.environment)
	}
	if err := j.reviewed(e, who); err != nil {
		return err
	}
	if who == "" {
		return fmt.Errorf("the deployment to %s was rejected", j.environment)
	}
	return nil
}

// reviewed records who approved, or that a reviewer rejected.
func (j *Job) reviewed(e Environment, who string) error {
	record := j.run.service.o.Record
	if record == nil {
		return nil
	}
	by := who
	if by == "" {
		by = e.Reviewers[len(e.Reviewers)-1]
	}
	return record.Reviewed(j.run.ID, j.environment, by, who != "")
}

// onMachine is the job's life on a machine of its own.
func (j *Job) onMachine(ctx context.Context) (err error) {
	name := strings.NewReplacer(" ", "-", "(", "", ")", "").Replace(j.Name)
	j.work = filepath.Join(j.run.dir, strconv.Itoa(j.run.Attempt), name)
	for _, dir := range []string{j.workspace(), j.temp(), filepath.Join(j.work, "home")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
	}
	if home := j.run.service.o.Machine.Home; home != nil {
		if err := home(filepath.Join(j.work, "home")); err != nil {
			return err
		}
	}
	refuse := func(host string) bool { return j.run.Refuse != nil && j.run.Refuse(j, host) }
	if j.way, err = openWay(j.run.service.o.Machine.Proxy, refuse); err != nil {
		return err
	}
	defer func() {
		j.Hosts = j.way.hosts()
		j.run.service.forget(j)
		err = errors.Join(err, j.way.Close())
	}()
	o := j.run.service.o
	if o.Token != nil {
		j.token = o.Token(j)
	}
	j.env = j.runnerEnvironment()
	for _, s := range j.spec.Steps {
		if err := j.step(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

func (j *Job) workspace() string { return filepath.Join(j.work, "workspace") }

func (j *Job) temp() string { return filepath.Join(j.work, "temp") }

// runnerEnvironment is what the machine tells every step.
func (j *Job) runnerEnvironment() map[string]string {
	r, o := j.run, j.run.service.o
	owner, _, _ := strings.Cut(o.Repository, "/")
	env := map[string]string{
		"CI": "true", "GITHUB_ACTIONS": "true", "GITHUB_ACTOR": o.Actor, "GITHUB_EVENT_NAME": "push",
		"GITHUB_JOB": j.spec.ID.Value, "GITHUB_REF": "refs/tags/" + r.Tag, "GITHUB_REF_NAME": r.Tag, "GITHUB_REF_TYPE": "tag",
		"GITHUB_REPOSITORY": o.Repository, "GITHUB_REPOSITORY_OWNER": owner, "GITHUB_RUN_ATTEMPT": strconv.Itoa(r.Attempt),
		"GITHUB_RUN_ID": strconv.Itoa(r.ID), "GITHUB_SERVER_URL": "https://github.com", "GITHUB_SHA": r.Commit,
		"GITHUB_API_URL": "https://api.github.com", "GITHUB_WORKFLOW": r.flow.Name.Value, "GITHUB_WORKSPACE": j.workspace(),
		"GITHUB_WORKFLOW_REF": o.Repository + "/.github/workflows/" + r.file + "@refs/tags/" + r.Tag,
		"RUNNER_ENVIRONMENT":  "github-hosted", "RUNNER_OS": "Linux", "RUNNER_TEMP": j.temp(),
		"HOME": filepath.Join(j.work, "home"), "PATH": o.Machine.Path + string(os.PathListSeparator) + os.Getenv("PATH"),
		"HTTPS_PROXY": j.way.url, "HTTP_PROXY": j.way.url,
	}
	for _, v := range o.Machine.Env {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	if j.Permissions()["id-token"] == "write" {
		j.run.service.identify(j)
		env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"] = j.bearer
		env["ACTIONS_ID_TOKEN_REQUEST_URL"] = "https://" + IdentityHost + "/" + strconv.Itoa(r.ID) + "/token?api-version=2.0"
	}
	return env
}

// step runs one step, unless its condition keeps it from running.
func (j *Job) step(ctx context.Context, s *actionlint.Step) error {
	c := j.contexts()
	ok, err := c.holds(s.If, functions{"success": !j.failed, "failure": j.failed, "always": true, "cancelled": false})
	if err != nil || !ok {
		return err
	}
	env, err := j.environmentOf(s, c)
	if err != nil {
		return err
	}
	var failed error
	switch exec := s.Exec.(type) {
	case *actionlint.ExecRun:
		j.say("##[group]Run " + strings.TrimSpace(exec.Run.Value))
		failed = j.script(ctx, exec.Run.Value, env)
	case *actionlint.ExecAction:
		j.say("##[group]Run " + exec.Uses.Value)
		if failed, err = j.use(ctx, exec, c); err != nil {
			return err
		}
	}
	if failed != nil {
		j.say("##[error]" + failed.Error())
		j.failed = j.failed || s.ContinueOnError == nil || !s.ContinueOnError.Value
	}
	return nil
}

func (j *Job) contexts() contexts {
	o, c := j.run.service.o, j.run.contexts(j)
	github := c["github"].(map[string]any)
	github["token"], github["job"] = j.token, j.spec.ID.Value
	c["secrets"] = withToken(o.Secrets, j.token)
	c["runner"] = map[string]any{"temp": j.temp(), "os": "Linux", "environment": "github-hosted"}
	c["env"] = map[string]string{}
	return c
}

// withToken: the job's token is a secret as well.
func withToken(secrets map[string]string, token string) map[string]string {
	out := maps.Clone(secrets)
	if out == nil {
		out = map[string]string{}
	}
	out["GITHUB_TOKEN"] = token
	return out
}

// environmentOf is what a step's program finds: the machine's variables, then the workflow's, the job's and the step's.
func (j *Job) environmentOf(s *actionlint.Step, c contexts) (map[string]string, error) {
	env, set := maps.Clone(j.env), map[string]string{}
	for _, level := range []*actionlint.Env{j.run.flow.Env, j.spec.Env, s.Env} {
		if level == nil {
			continue
		}
		for _, v := range level.Vars {
			value, err := c.text(v.Value.Value, nil)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", v.Name.Value, err)
			}
			env[v.Name.Value], set[v.Name.Value] = value, value
		}
		c["env"] = maps.Clone(set)
	}
	return env, nil
}

// script runs a script as the machine does when no shell is named: bash -e.
func (j *Job) script(ctx context.Context, source string, env map[string]string) error {
	if before := j.run.Before; before != nil {
		if err := before(j, source, env); err != nil {
			return err
		}
	}
	file := filepath.Join(j.temp(), "script.sh")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		return err
	}
	for _, name := range []string{"GITHUB_ENV", "GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY"} {
		env[name] = filepath.Join(j.temp(), strings.ToLower(name))
		if err := os.WriteFile(env[name], nil, 0o600); err != nil {
			return err
		}
	}
	cmd := exec.CommandContext(ctx, "bash", "-e", file)
	cmd.Dir, cmd.WaitDelay = j.workspace(), 10*time.Second
	for name, value := range env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	out := &lines{each: j.say}
	cmd.Stdout, cmd.Stderr = out, out
	err := errors.Join(cmd.Run(), out.Close())
	if said, readErr := os.ReadFile(env["GITHUB_ENV"]); readErr != nil || len(bytes.TrimSpace(said)) > 0 {
		return errors.Join(err, readErr, errors.New("GITHUB_ENV was written to, which is not known here"))
	}
	return err
}

// shortest is the length from which a secret is looked for: no token is shorter, and a shorter one may be a word.
const shortest = 12

// say keeps a line of the log. A secret in it fails the job: GitHub would show asterisks.
func (j *Job) say(line string) {
	j.run.mu.Lock()
	defer j.run.mu.Unlock()
	for name, secret := range withToken(j.run.service.o.Secrets, j.token) {
		if len(secret) >= shortest && strings.Contains(line, secret) {
			line, j.failed = "##[error]the log holds secret "+name, true
		}
	}
	j.Log = append(j.Log, line)
	j.run.service.o.Log(j.run.Tag + " " + j.Name + ": " + line)
}
