package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

const (
	maxEvent    = 16 << 20 // GitHub cuts payloads of webhooks off at 25 MB; a release's text is the longest we meet
	everyWeek   = 10       // of the newest releases of each family
	auditStatus = "release-auditor"
)

// event is what decides, of what GitHub tells the auditor's workflow, which
// release it looks at. It is GitHub's JSON: what else is in it is not read.
type event struct {
	Inputs struct {
		Tag string `json:"tag"`
	} `json:"inputs"`
	Release *struct {
		TagName string `json:"tag_name"`
	} `json:"release"`
	WorkflowRun *struct {
		HeadBranch     string `json:"head_branch"` // the tag, of a run that a tag started
		Conclusion     string `json:"conclusion"`
		Event          string `json:"event"`
		HTMLURL        string `json:"html_url"`
		HeadRepository struct {
			FullName string `json:"full_name"`
		} `json:"head_repository"`
	} `json:"workflow_run"`
}

// auditTask is what follows from an event.
type auditTask struct {
	recent bool        // the newest releases, of both families
	tag    release.Tag // else this one
	ended  string      // how its release's run ended, when that was not well: then it may not be public
	reason string      // why nothing is to be done; empty: something is
}

// taskOf decides. Who publishes something else under a tag of their own, or runs
// the workflow for a branch, does not stop the auditor; a person who asks for
// what is no release is told so (code 2).
func taskOf(name, repository string, e *event) (auditTask, error) {
	switch {
	case name == "schedule", name == "workflow_dispatch" && e.Inputs.Tag == "":
		return auditTask{recent: true}, nil
	case name == "workflow_dispatch":
		tag, err := release.ParseTag(e.Inputs.Tag)
		return auditTask{tag: tag}, err
	case name == "release" && e.Release != nil && e.Release.TagName != "":
		return ofTag(e.Release.TagName, ""), nil
	case name == "workflow_run" && e.WorkflowRun != nil:
		return ofRun(repository, e)
	}
	return auditTask{}, &fault.Error{Code: fault.Usage, Message: "not an event of the auditor",
		Expected: "schedule, workflow_dispatch, release or workflow_run, with what GitHub says of it",
		Got:      fmt.Sprintf("%.40q", name), Hint: "to verify a release by hand: go tool mage verify:release TAG"}
}

// ofTag: a tag of others is nobody's mistake.
func ofTag(name, ended string) auditTask {
	tag, err := release.ParseTag(name)
	if err != nil {
		return auditTask{reason: fmt.Sprintf("%.200q is not a release of ours", name)}
	}
	return auditTask{tag: tag, ended: ended}
}

// ofRun: a release workflow ended, well or not. A run that failed, or was
// cancelled, after its release was public has left a release that people see.
func ofRun(repository string, e *event) (auditTask, error) {
	run := e.WorkflowRun
	switch {
	case run.Conclusion == "" || run.HeadBranch == "":
		return auditTask{}, fault.Mismatch("the event's run of a release workflow", "a run that ended, and its tag",
			fmt.Sprintf("conclusion %q, head_branch %.80q", run.Conclusion, run.HeadBranch))
	case run.Event != "push" || run.HeadRepository.FullName != repository:
		return auditTask{reason: fmt.Sprintf("a run that %s of %.140q started releases nothing here", run.Event,
			run.HeadRepository.FullName)}, nil
	case run.Conclusion == "success":
		return ofTag(run.HeadBranch, ""), nil
	}
	return ofTag(run.HeadBranch, run.Conclusion+", "+run.HTMLURL), nil
}

// VerifyEvent does what the event of this workflow run asks for, and says on each
// release's commit what it found.
func VerifyEvent(ctx context.Context) error {
	w, err := configure()
	if err != nil {
		return err
	}
	e, err := readEvent(w.cfg.EventPath)
	if err != nil {
		return err
	}
	task, err := taskOf(w.cfg.EventName, w.cfg.Repository, e)
	if err != nil {
		return err
	}
	return w.operate(ctx, func(o *operator) error { return o.perform(ctx, task) })
}

func readEvent(path string) (*event, error) {
	if path == "" {
		return nil, &fault.Error{Code: fault.Usage, Message: "GITHUB_EVENT_PATH is not set", Expected: "a workflow's job",
			Got: "none", Hint: "to verify a release by hand: go tool mage verify:release TAG"}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "GITHUB_EVENT_PATH", Err: err}
	}
	defer f.Close()
	data, err := file.ReadAll(f, maxEvent)
	if err != nil {
		return nil, err
	}
	e := new(event)
	if err := json.Unmarshal(data, e); err != nil {
		return nil, fmt.Errorf("the event in GITHUB_EVENT_PATH: %w", err)
	}
	return e, nil
}

// perform audits what the task names.
func (o *operator) perform(ctx context.Context, task auditTask) error {
	if task.reason != "" {
		o.console.Infof("%s: nothing to audit", task.reason)
		return nil
	}
	revoked := o.revoked()
	if task.recent {
		return o.auditRecent(ctx, everyWeek, func(ctx context.Context, tag release.Tag) error {
			return o.auditAndSay(ctx, tag, revoked)
		})
	}
	if task.ended != "" {
		public, err := o.isPublic(ctx, task.tag)
		if err != nil {
			return err
		}
		if !public {
			o.console.Infof("the release workflow of %s ended (%s) before its release was public: nothing to audit", task.tag,
				task.ended)
			return nil
		}
		o.console.Warnf("the release workflow of %s ended (%s) after its release was public", task.tag, task.ended)
	}
	return o.auditAndSay(ctx, task.tag, revoked)
}

func (o *operator) isPublic(ctx context.Context, tag release.Tag) (bool, error) {
	all, err := o.github.Releases(ctx)
	if err != nil {
		return false, err
	}
	return slices.Contains(steps.PublicTags(all, tag.Family), tag), nil
}

// auditAndSay audits a public release and says the verdict where its release's run
// and its commit are looked at: as a status of the tag's commit. A status that
// cannot be set is an error, and hides no verdict.
func (o *operator) auditAndSay(ctx context.Context, tag release.Tag, revoked audit.Revoked) error {
	verdict := o.audited(ctx, audit.Subject{Tag: tag, Revoked: revoked}, Place{}, nil)
	return errors.Join(verdict, o.say(ctx, tag, verdict))
}

func (o *operator) say(ctx context.Context, tag release.Tag, verdict error) error {
	commit, err := o.github.TagCommit(ctx, tag.String())
	if err != nil {
		return fmt.Errorf("the verdict cannot be said on the commit of %s: %w", tag, err)
	}
	status := github.CommitStatus{Context: auditStatus, State: github.StatusSuccess,
		Description: tag.String() + ": every check of the public release passed", TargetURL: o.env.Config.RunPage()}
	switch code := fault.CodeOf(verdict); {
	case code == fault.Verification || code == fault.MissingAsset:
		status.State, status.Description = github.StatusFailure, verdict.Error()
	case verdict != nil: // could not look
		status.State, status.Description = github.StatusError, verdict.Error()
	}
	return o.github.SetStatus(ctx, commit, status)
}
