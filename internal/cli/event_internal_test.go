package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// run is a workflow_run event as GitHub sends it, with what decides in it and something else.
func run(branch, conclusion, event, from string) string {
	return `{"action":"completed","repository":{"full_name":"o/r","default_branch":"main"},"workflow_run":{"id":7,
		"name":"release-kms-phala","head_branch":"` + branch + `","conclusion":"` + conclusion + `","event":"` + event + `",
		"html_url":"https://github.com/o/r/actions/runs/7","head_repository":{"full_name":"` + from + `"}}}`
}

func parsed(t *testing.T, payload string) *event {
	t.Helper()
	e := new(event)
	require.NoError(t, json.Unmarshal([]byte(payload), e))
	return e
}

// Each kind of event, and what the auditor does with it.
func TestEvents(t *testing.T) {
	t.Parallel()
	const tag = "mero-kms-v1.2.0"
	for name, tc := range map[string]struct {
		event, payload string
		recent         bool
		tag            string
		ended          string // part of it
		reason         string // part of it
		code           fault.Code
	}{
		"every week":            {event: "schedule", payload: `{"schedule":"17 5 * * 1"}`, recent: true},
		"a person, of all":      {event: "workflow_dispatch", payload: `{"inputs":{"tag":""}}`, recent: true},
		"a person, no inputs":   {event: "workflow_dispatch", payload: `{"inputs":null}`, recent: true},
		"a person, of one":      {event: "workflow_dispatch", payload: `{"inputs":{"tag":"mero-kms-v1.2.0"}}`, tag: tag},
		"a person, of garbage":  {event: "workflow_dispatch", payload: `{"inputs":{"tag":"v1.2.3"}}`, code: fault.Usage},
		"a person, of a script": {event: "workflow_dispatch", payload: `{"inputs":{"tag":"$(id)"}}`, code: fault.Usage},
		"a release of ours":     {event: "release", payload: `{"release":{"tag_name":"mero-kms-v1.2.0"}}`, tag: tag},
		"a foreign release": {event: "release", payload: `{"release":{"tag_name":"v1.2.3"}}`,
			reason: "not a release of ours"},
		"one that looks like ours": {event: "release", payload: `{"release":{"tag_name":"mero-kms-v1.2"}}`,
			reason: "not a release of ours"},
		"a foreign release with a long name": {event: "release",
			payload: `{"release":{"tag_name":"` + strings.Repeat("x", 9999) + `"}}`, reason: "not a release of ours"},
		"a release without a tag": {event: "release", payload: `{"release":{}}`, code: fault.Usage},
		"a run that succeeded":    {event: "workflow_run", payload: run(tag, "success", "push", "o/r"), tag: tag},
		"a run that failed": {event: "workflow_run", payload: run(tag, "failure", "push", "o/r"), tag: tag,
			ended: "failure, https://github.com/o/r/actions/runs/7"},
		"a run that was cancelled": {event: "workflow_run", payload: run(tag, "cancelled", "push", "o/r"), tag: tag,
			ended: "cancelled"},
		"a run that took too long": {event: "workflow_run", payload: run(tag, "timed_out", "push", "o/r"), tag: tag,
			ended: "timed_out"},
		"a run that waits for a person": {event: "workflow_run", payload: run(tag, "action_required", "push", "o/r"),
			tag: tag, ended: "action_required"},
		"a run of a foreign tag": {event: "workflow_run", payload: run("mero-kms-vNext", "failure", "push", "o/r"),
			reason: "not a release of ours"},
		"a run for a branch": {event: "workflow_run", payload: run("main", "success", "push", "o/r"),
			reason: "not a release of ours"},
		"a run of a pull request": {event: "workflow_run", payload: run(tag, "success", "pull_request", "o/r"),
			reason: "releases nothing here"},
		"a run of a fork": {event: "workflow_run", payload: run(tag, "success", "push", "stranger/r"),
			reason: "releases nothing here"},
		"a run without its end": {event: "workflow_run", payload: run(tag, "", "push", "o/r"), code: fault.Verification},
		"a run without its tag": {event: "workflow_run", payload: run("", "failure", "push", "o/r"),
			code: fault.Verification},
		"no run":        {event: "workflow_run", payload: `{}`, code: fault.Usage},
		"another event": {event: "push", payload: `{"ref":"refs/heads/main"}`, code: fault.Usage},
		"no event":      {event: "", payload: `{}`, code: fault.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			task, err := taskOf(tc.event, "o/r", parsed(t, tc.payload))
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			if tc.code != fault.Success {
				return
			}
			require.Equal(t, tc.recent, task.recent)
			require.Contains(t, task.reason, tc.reason)
			require.Equal(t, tc.reason == "", task.reason == "")
			require.Contains(t, task.ended, tc.ended)
			require.Equal(t, tc.ended == "", task.ended == "")
			if tc.tag != "" {
				require.Equal(t, tc.tag, task.tag.String())
			}
			require.Less(t, len(task.reason), 500)
		})
	}
}

func TestEventFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	written := func(name, content string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
		return path
	}
	for path, want := range map[string]string{
		"":                     "GITHUB_EVENT_PATH is not set",
		dir + "/none":          "GITHUB_EVENT_PATH",
		written("bad", "{"):    "the event in GITHUB_EVENT_PATH",
		written("list", "[1]"): "the event in GITHUB_EVENT_PATH",
		written("number", `{"inputs":{"tag":1}}`):                     "the event in GITHUB_EVENT_PATH",
		written("large", `{"a":"`+strings.Repeat("a", maxEvent)+`"}`): "16777216",
	} {
		_, err := readEvent(path)
		require.ErrorContains(t, err, want)
	}
	e, err := readEvent(written("good", `{"inputs":{"tag":"mero-kms-v1.0.0"},"sender":{"login":"o"}}`))
	require.NoError(t, err)
	require.Equal(t, "mero-kms-v1.0.0", e.Inputs.Tag)
}

// auditing is an operator at a GitHub with a commit, and what was said of it.
func auditing(t *testing.T, tags ...string) (*operator, *bytes.Buffer, *[]github.CommitStatus) {
	t.Helper()
	o, said := proposing(t)
	sha := strings.Repeat("a", 40)
	s, err := rehearsal.New(rehearsal.Options{Dir: t.TempDir(), Repository: config.DefaultRepository, Token: "secret",
		Prompt: true})
	require.NoError(t, err)
	require.NoError(t, s.Push("refs/heads/main", sha, map[string][]byte{"a": nil}))
	statuses := &[]github.CommitStatus{}
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	for _, host := range rehearsal.Hosts() {
		require.NoError(t, n.Handle(host, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/statuses/"+sha) {
				data, err := io.ReadAll(r.Body)
				var one github.CommitStatus
				if errors.Join(err, json.Unmarshal(data, &one)) == nil {
					*statuses = append(*statuses, one)
				}
				r.Body = io.NopCloser(bytes.NewReader(data))
			}
			s.ServeHTTP(w, r)
		})))
	}
	o.github, err = github.New(github.Options{Repository: config.DefaultRepository, Token: "secret",
		Transport: n.Transport()})
	require.NoError(t, err)
	for _, tag := range tags {
		require.NoError(t, s.Push("refs/tags/"+tag, sha, nil))
		rel, err := o.github.CreateDraft(t.Context(), github.Draft{Tag: tag, Title: tag, Notes: "notes"})
		require.NoError(t, err)
		public := false
		_, err = o.github.Update(t.Context(), rel.ID, github.Patch{Draft: &public, MakeLatest: "false"})
		require.NoError(t, err)
	}
	o.env.Config.RunID, o.env.Config.ServerURL, o.env.TDXRoot = 42, "https://github.com", [32]byte{1}
	return o, said, statuses
}

func task(t *testing.T, name, payload string) auditTask {
	t.Helper()
	out, err := taskOf(name, config.DefaultRepository, parsed(t, payload))
	require.NoError(t, err)
	return out
}

const released = "mero-kms-v1.2.0"

// What is not ours, and a run that failed before anything was public, ends well and says so.
func TestNothingToAudit(t *testing.T) {
	t.Parallel()
	failed := run(released, "failure", "push", config.DefaultRepository)
	for name, tc := range map[string]struct{ event, payload, says string }{
		"a foreign tag": {"release", `{"release":{"tag_name":"v1.2.3"}}`,
			"not a release of ours: nothing to audit"},
		"failed before":             {"workflow_run", failed, "before its release was public: nothing to audit"},
		"cancelled before":          {"workflow_run", strings.ReplaceAll(failed, "failure", "cancelled"), "ended (cancelled"},
		"a week with foreign alone": {"schedule", `{}`, "nothing is released yet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, said, statuses := auditing(t, "v1.2.3", "nightly")
			require.NoError(t, o.perform(t.Context(), task(t, tc.event, tc.payload)))
			require.Contains(t, said.String(), tc.says)
			require.Empty(t, *statuses)
		})
	}
}

// A release that is public is audited however its run ended, and its commit says what was found.
func TestAPublicReleaseIsAudited(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ event, payload, says string }{
		"failed after":    {"workflow_run", run(released, "failure", "push", config.DefaultRepository), "ended (failure"},
		"cancelled after": {"workflow_run", run(released, "cancelled", "push", config.DefaultRepository), "ended (cancelled"},
		"succeeded":       {"workflow_run", run(released, "success", "push", config.DefaultRepository), "[FAIL]"},
		"by a person":     {"release", `{"release":{"tag_name":"` + released + `"}}`, "[FAIL]"},
		"every week":      {"schedule", `{}`, released},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, said, statuses := auditing(t, released, "v1.2.3")
			err := o.perform(t.Context(), task(t, tc.event, tc.payload))
			require.Equal(t, fault.MissingAsset, fault.CodeOf(err), "a release without assets: %v", err)
			require.Contains(t, said.String(), tc.says)
			require.Len(t, *statuses, 1)
			got := (*statuses)[0]
			require.Equal(t, "release-auditor", got.Context)
			require.Equal(t, github.StatusFailure, got.State)
			require.Contains(t, got.Description, released+" is not to be trusted")
			require.Equal(t, "https://github.com/"+config.DefaultRepository+"/actions/runs/42", got.TargetURL)
		})
	}
}

// Each verdict has its state: "could not look" is never "bad".
func TestVerdictsOnTheCommit(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		verdict error
		state   string
	}{
		"good":             {nil, github.StatusSuccess},
		"bad":              {&fault.Error{Code: fault.Verification, Message: "a signature"}, github.StatusFailure},
		"an asset missing": {&fault.Error{Code: fault.MissingAsset, Message: "sbom.spdx.json"}, github.StatusFailure},
		"could not look":   {errors.New("connection reset"), github.StatusError},
		"bad usage":        {&fault.Error{Code: fault.Usage, Message: "a token"}, github.StatusError},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, _, statuses := auditing(t, released)
			tag, err := parseTag("", released)
			require.NoError(t, err)
			require.NoError(t, o.say(t.Context(), tag, tc.verdict))
			require.Equal(t, tc.state, (*statuses)[0].State)
		})
	}
}

// A verdict that cannot be said is an error, and hides nothing.
func TestAVerdictThatCannotBeSaid(t *testing.T) {
	t.Parallel()
	o, _, statuses := auditing(t, released)
	tag, err := parseTag("", "mero-kms-v9.9.9")
	require.NoError(t, err)
	require.ErrorContains(t, o.say(t.Context(), tag, nil), "cannot be said on the commit of mero-kms-v9.9.9")
	require.Empty(t, *statuses)
}
