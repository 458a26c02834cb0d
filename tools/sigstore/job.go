package main

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
)

// job is the workflow run that asks for a token.
type job struct {
	repository  string // owner/name
	workflow    string // file name below .github/workflows
	ref, sha    string
	event       string
	environment string // where the job runs: github-hosted or self-hosted
	audience    string
}

// forms are the shapes that GitHub's own claims have.
var forms = map[string]*regexp.Regexp{
	"repository":         regexp.MustCompile(`^[A-Za-z0-9-]{1,39}/[A-Za-z0-9._-]{1,100}$`),
	"workflow":           regexp.MustCompile(`^[A-Za-z0-9._-]{1,100}\.ya?ml$`),
	"ref":                regexp.MustCompile(`^refs/(heads|tags)/[A-Za-z0-9._/-]{1,200}$`),
	"sha":                regexp.MustCompile(`^[0-9a-f]{40}$`),
	"event":              regexp.MustCompile(`^[a-z_]{1,40}$`),
	"runner_environment": regexp.MustCompile(`^(github-hosted|self-hosted)$`),
	"audience":           regexp.MustCompile(`^[!-~]{1,200}$`),
}

// parseJob reads repository, workflow, ref, sha, and optionally event (push), runner_environment (github-hosted) and audience.
func parseJob(q url.Values) (job, error) {
	j := job{
		repository: q.Get("repository"), workflow: q.Get("workflow"), ref: q.Get("ref"), sha: q.Get("sha"),
		event: cmp.Or(q.Get("event"), "push"), environment: cmp.Or(q.Get("runner_environment"), "github-hosted"),
	}
	j.audience = cmp.Or(q.Get("audience"), "https://github.com/"+j.owner())
	for name, value := range map[string]string{
		"repository": j.repository, "workflow": j.workflow, "ref": j.ref, "sha": j.sha,
		"event": j.event, "runner_environment": j.environment, "audience": j.audience,
	} {
		if !forms[name].MatchString(value) {
			return job{}, fmt.Errorf("%s: want %s", name, forms[name])
		}
	}
	return j, nil
}

func (j job) owner() string {
	owner, _, _ := strings.Cut(j.repository, "/")
	return owner
}

// claims are those that GitHub documents for a token of a job.
func (j job) claims(issuer string, now time.Time) map[string]any {
	workflowRef := fmt.Sprintf("%s/.github/workflows/%s@%s", j.repository, j.workflow, j.ref)
	refType := "branch"
	if strings.HasPrefix(j.ref, "refs/tags/") {
		refType = "tag"
	}
	return map[string]any{
		"iss": issuer, "aud": j.audience, "sub": fmt.Sprintf("repo:%s:ref:%s", j.repository, j.ref), "jti": rand.Text(),
		"iat": now.Unix(), "nbf": now.Add(-time.Minute).Unix(), "exp": now.Add(tokenLifetime).Unix(),
		"actor": "rehearsal", "actor_id": "1", "event_name": j.event,
		"ref": j.ref, "ref_type": refType, "ref_protected": "true", "sha": j.sha,
		"repository": j.repository, "repository_id": "1", "repository_visibility": "public",
		"repository_owner": j.owner(), "repository_owner_id": "1",
		"workflow": j.workflow, "workflow_ref": workflowRef, "workflow_sha": j.sha,
		"job_workflow_ref": workflowRef, "job_workflow_sha": j.sha,
		"run_id": "1", "run_number": "1", "run_attempt": "1", "runner_environment": j.environment,
	}
}
