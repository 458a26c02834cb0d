// Package clearance judges what others have to say before a release goes on:
// CI of its commit, and the reviewer of its promotion.
//
// Its promise: only an explicit yes is one, of the very commit or run, by the one
// whose word it is; everything else (silence, another's word, a yes of something
// else) refuses, and what could not be read is an error and no verdict.
package clearance

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Branch is the one whose rules say what CI is, and that a stable release lies on.
const Branch = "main"

// actionsApp is the app of GitHub Actions.
const actionsApp = "github-actions"

// Own are the checks that this repository's workflows make on every push to main
// and to a hotfix's branch (ci.yaml, pr-doc-guard.yaml). They are required also
// where the repository's rules were taken away.
func Own() []string { return []string{"ci", "pr-doc-guard"} }

// Commit is a commit with what was said of it: "must pass CI checks".
type Commit struct {
	SHA      string
	Required []github.RequiredCheck
	Runs     []github.CheckRun
	Statuses []github.Status // the newest of each context first
}

// Read asks GitHub about a commit. The names that must have succeeded are those
// that main's rules require, and our own; a rule is of the repository, not of the
// commit, so that no branch can choose its own.
func Read(ctx context.Context, c *github.Client, sha string) (Commit, error) {
	rules, err := c.RequiredChecks(ctx, Branch)
	if err != nil {
		return Commit{}, err
	}
	out := Commit{SHA: sha, Required: Required(rules)}
	return out, out.Refresh(ctx, c)
}

// Refresh reads what is said of the commit by now.
func (c *Commit) Refresh(ctx context.Context, client *github.Client) (err error) {
	if c.Runs, err = client.CheckRuns(ctx, c.SHA); err != nil {
		return err
	}
	c.Statuses, err = client.Statuses(ctx, c.SHA)
	return err
}

// Required are our own checks and those of the rules, each once.
func Required(rules []github.RequiredCheck) []github.RequiredCheck {
	var out []github.RequiredCheck
	for _, name := range Own() {
		if !slices.ContainsFunc(rules, func(r github.RequiredCheck) bool { return r.Context == name }) {
			out = append(out, github.RequiredCheck{Context: name})
		}
	}
	for _, r := range rules {
		if !slices.Contains(out, r) {
			out = append(out, r)
		}
	}
	slices.SortStableFunc(out, func(a, b github.RequiredCheck) int { return strings.Compare(a.Context, b.Context) })
	return out
}

// State is how far a check is, or all checks of a commit together.
type State int

// The states, the worst first.
const (
	Red     State = iota // it has ended, and not with success
	Missing              // it has not begun
	Pending              // it has not ended
	Green
)

// State is the worst of the required checks.
func (c Commit) State() State {
	worst := Green
	for _, r := range c.Required {
		state, _ := c.judge(r)
		worst = min(worst, state)
	}
	return worst
}

// Open are the checks that have not begun or not ended, in one line.
func (c Commit) Open() string {
	var out []string
	for _, r := range c.Required {
		switch state, said := c.judge(r); state {
		case Pending:
			out = append(out, r.Context+" "+said)
		case Missing:
			out = append(out, r.Context+" has not begun")
		}
	}
	return strings.Join(out, ", ")
}

// Verdict is a result for each required check. One that has not ended is no success.
func (c Commit) Verdict() check.Results {
	out := make(check.Results, 0, len(c.Required))
	for _, r := range c.Required {
		out = append(out, c.result(r))
	}
	return out
}

func (c Commit) result(r github.RequiredCheck) check.Result {
	name := "CI: " + r.Context
	o, said := c.judge(r)
	switch o {
	case Green:
		return check.Pass(name).Noting(said)
	case Pending:
		return check.Fail(name, fault.Verification, "it has not ended", "success", said).
			WithHint("wait for it, and run the same step again")
	case Red:
		return check.Fail(name, fault.Verification, "it did not succeed", "success", said).
			WithHint("a failure by chance: re-run it there; else mend it on the branch, and release the next version")
	}
	return check.Fail(name, fault.Verification, fmt.Sprintf("commit %.12s has no such check", c.SHA),
		"success, reported by "+reporter(r), said).
		WithHint("checks run on pushes to main and hotfix/**: push the commit there and wait for them before the tag; " +
			"a rule of main that names another app's check has to name the app, which has to check pushes too")
}

func reporter(r github.RequiredCheck) string {
	if r.App != 0 {
		return fmt.Sprintf("the app %d that main's rule names", r.App)
	}
	return "GitHub Actions"
}

// judge finds the newest run of the check, and the newest status of its name,
// which does not stand in for a run but counts beside it, as at a merge: "If you
// have a check and a status with the same name, and you select that name as a
// required status check, both the check and the status are required"
// (docs.github.com, "Troubleshooting required status checks").
func (c Commit) judge(r github.RequiredCheck) (State, string) {
	newest := c.newest(r)
	if newest == nil {
		return Missing, c.others(r)
	}
	o, said := judgeRun(*newest)
	at := slices.IndexFunc(c.Statuses, func(s github.Status) bool { return s.Context == r.Context })
	if o == Red || at < 0 || c.Statuses[at].State == "success" {
		return o, said
	}
	s := c.Statuses[at]
	said = fmt.Sprintf("a status %q by %s: %s", s.State, s.Creator.Login, s.TargetURL)
	if s.State == "pending" {
		return Pending, said
	}
	return Red, said
}

// judgeRun takes success alone. At a merge, skipped and neutral count as success
// ("A job that is skipped will report its status as Success"), but a job that was
// skipped has looked at nothing.
func judgeRun(r github.CheckRun) (State, string) {
	switch {
	case r.Status != "completed":
		return Pending, r.Status + ": " + r.HTMLURL
	case r.Conclusion == "success":
		return Green, r.HTMLURL
	}
	return Red, r.Conclusion + ": " + r.HTMLURL
}

func (c Commit) newest(r github.RequiredCheck) (found *github.CheckRun) {
	for i, run := range c.Runs {
		if run.Name == r.Context && c.counts(run, r) && (found == nil || run.ID > found.ID) {
			found = &c.Runs[i]
		}
	}
	return found
}

// counts: the run is of this commit and by the app whose word it is. A rule that
// names none means GitHub Actions here: "Anyone with write permissions to a
// repository can set the state for any status check in the repository".
func (c Commit) counts(run github.CheckRun, r github.RequiredCheck) bool {
	by := run.App.Slug == actionsApp
	if r.App != 0 {
		by = run.App.ID == r.App
	}
	return by && run.HeadSHA == c.SHA
}

// others says what there is instead of the check.
func (c Commit) others(r github.RequiredCheck) string {
	var out []string
	for _, run := range c.Runs {
		switch {
		case run.Name != r.Context:
		case run.HeadSHA != c.SHA:
			out = append(out, fmt.Sprintf("one of commit %.12s: %s", run.HeadSHA, run.HTMLURL))
		default:
			out = append(out, "one by "+run.App.Slug+": "+run.HTMLURL)
		}
	}
	for _, s := range c.Statuses {
		if s.Context == r.Context {
			out = append(out, fmt.Sprintf("a status by %s, which is no check", s.Creator.Login))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, "; ")
}

const onMainName = "CI: a stable release lies on main"

// OnMain is the rule that a stable release that is no hotfix lies on main, as
// GitHub knows main. A hotfix lies on a branch of its own, a candidate anywhere.
func OnMain(class release.Class, commit string, on bool) check.Result {
	switch {
	case class == release.Candidate || class == release.Hotfix:
		return check.NotApplicable(onMainName, fmt.Sprintf("a %s", class))
	case on:
		return check.Pass(onMainName)
	}
	return check.Fail(onMainName, fault.Verification, "main does not hold the tagged commit",
		"a commit of main", commit).
		WithHint("merge it, and tag the commit that main has then, as the next version; " +
			"a hotfix is X.Y.(Z+1) of a published release")
}
