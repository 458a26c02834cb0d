package steps_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

var other = strings.Repeat("9", 40)

// judged is CI's verdict on a release of the class whose commit is on main, with
// what happened there, and how long was waited for it.
func judged(t *testing.T, class release.Class, happened func(*world)) (check.Results, time.Duration, *world, error) {
	t.Helper()
	w := open(t, "mero-kms-v1.0.0")
	w.github.Change(func(s *local.Settings) { *s = local.Documented("ann", "ben") })
	require.NoError(t, w.github.Push("refs/heads/main", commit, nil))
	happened(w)
	var waited time.Duration
	var err error
	w.GitHub, err = github.New(github.Options{Repository: config.DefaultRepository, Token: w.Env.GitHubToken.Reveal(),
		Transport: w.Env.Transport, Wait: func(ctx context.Context, d time.Duration) error { waited += d; return ctx.Err() }})
	require.NoError(t, err)
	p := &plan.Plan{Subject: plan.Subject{Tag: w.Tag, Commit: commit}, Decision: plan.Decision{Class: class},
		Checks: check.Results{check.Pass("what came before")}}
	results, err := w.CI(t.Context(), &pipeline.Work{Console: w.Console}, p)
	return results, waited, w, err
}

func (w *world) ci(t *testing.T, c local.Check) {
	t.Helper()
	if c.Name == "" {
		c.Name = "ci"
	}
	if c.Commit == "" {
		c.Commit = commit
	}
	if c.App == (local.App{}) {
		c.App = local.Actions
	}
	require.NoError(t, w.github.Report(c))
}

func (w *world) green(t *testing.T) {
	t.Helper()
	require.NoError(t, w.github.Conclude(commit, "success"))
}

// "Must pass CI checks": step 1 asks GitHub, and takes nothing for a yes that is none.
func TestCIsVerdict(t *testing.T) {
	t.Parallel()
	stranger := local.App{ID: 7, Slug: "another"}
	ended := func(conclusion string) func(*testing.T, *world) {
		return func(t *testing.T, w *world) { require.NoError(t, w.github.Conclude(commit, conclusion)) }
	}
	for name, tc := range map[string]struct {
		class    release.Class
		happened func(*testing.T, *world)
		want     string        // of a failure; empty: none
		least    time.Duration // that was waited
		most     time.Duration
	}{
		"green":         {"", func(t *testing.T, w *world) { w.green(t) }, "", 0, 0},
		"of a hotfix":   {release.Hotfix, func(t *testing.T, w *world) { w.green(t) }, "", 0, 0},
		"red":           {"", ended("failure"), "failure: https://github.com/calimero-network/mero-tee/runs/", 0, 0},
		"a candidate's": {release.Candidate, ended("failure"), "it did not succeed", 0, 0},
		"a hotfix's":    {release.Hotfix, ended("timed_out"), "timed_out", 0, 0},
		"skipped":       {"", ended("skipped"), "skipped", 0, 0},
		"neutral":       {"", ended("neutral"), "neutral", 0, 0},
		"cancelled":     {"", ended("cancelled"), "cancelled", 0, 0},
		"missing": {"", func(t *testing.T, w *world) { require.NoError(t, w.github.Withdraw(commit)) },
			"has no such check", time.Minute, 3 * time.Minute},
		"pending for ever": {"", func(*testing.T, *world) {}, "it has not ended", 80 * time.Minute, 100 * time.Minute},
		"pending, then green": {"", func(t *testing.T, w *world) {
			w.green(t)
			w.ci(t, local.Check{Reads: 5})
		}, "", time.Minute, 10 * time.Minute},
		"red while it ran": {"", func(t *testing.T, w *world) {
			w.ci(t, local.Check{Conclusion: "failure"}) // pr-doc-guard still runs
		}, "it did not succeed", 0, 0},
		"red when it ran again": {"", func(t *testing.T, w *world) {
			w.green(t)
			w.ci(t, local.Check{Conclusion: "failure"})
		}, "it did not succeed", 0, 0},
		"green when it ran again": {"", func(t *testing.T, w *world) {
			require.NoError(t, w.github.Conclude(commit, "failure"))
			w.ci(t, local.Check{Conclusion: "success"})
			w.ci(t, local.Check{Name: "pr-doc-guard", Conclusion: "success"})
		}, "", 0, 0},
		"of another commit": {"", func(t *testing.T, w *world) {
			require.NoError(t, w.github.Withdraw(commit))
			require.NoError(t, w.github.Push("refs/heads/main", other, nil))
			require.NoError(t, w.github.Conclude(other, "success"))
		}, "has no such check", time.Minute, 3 * time.Minute},
		"by another app": {"", func(t *testing.T, w *world) {
			require.NoError(t, w.github.Withdraw(commit))
			w.ci(t, local.Check{App: stranger, Conclusion: "success"})
		}, "one by another: https://github.com", time.Minute, 3 * time.Minute},
		"a status instead": {"", func(t *testing.T, w *world) {
			require.NoError(t, w.github.Withdraw(commit))
			require.NoError(t, w.github.SayStatus(commit, "ci", "success", "ann"))
		}, "a status by ann, which is no check", time.Minute, 3 * time.Minute},
		"a status that contradicts": {"", func(t *testing.T, w *world) {
			w.green(t)
			require.NoError(t, w.github.SayStatus(commit, "ci", "success", "ann"))
			require.NoError(t, w.github.SayStatus(commit, "ci", "error", "ben"))
		}, `a status "error" by ben`, 0, 0},
		"a status that contradicted once": {"", func(t *testing.T, w *world) {
			w.green(t)
			require.NoError(t, w.github.SayStatus(commit, "ci", "error", "ben"))
			require.NoError(t, w.github.SayStatus(commit, "ci", "success", "ben"))
		}, "", 0, 0},
		"a rule for one more": {"", func(t *testing.T, w *world) {
			w.green(t)
			w.github.Change(func(s *local.Settings) {
				s.RequiredChecks = append(s.RequiredChecks, local.RequiredCheck{Context: "licences", App: stranger.ID})
			})
			w.ci(t, local.Check{Name: "licences", Conclusion: "success"}) // by GitHub Actions, and not by the app
		}, "the app 7 that main's rule names", time.Minute, 3 * time.Minute},
		"a rule for one more, met": {"", func(t *testing.T, w *world) {
			w.green(t)
			w.github.Change(func(s *local.Settings) {
				s.RequiredChecks = append(s.RequiredChecks, local.RequiredCheck{Context: "licences", App: stranger.ID})
			})
			w.ci(t, local.Check{Name: "licences", App: stranger, Conclusion: "success"})
		}, "", 0, 0},
		"no rule at all": {"", func(t *testing.T, w *world) {
			w.github.Change(func(s *local.Settings) { s.RequiredChecks = nil })
			require.NoError(t, w.github.Conclude(commit, "failure"))
		}, "it did not succeed", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			class := tc.class
			if class == "" {
				class = release.Stable
			}
			results, waited, w, err := judged(t, class, func(w *world) { tc.happened(t, w) })
			require.NoError(t, err)
			require.GreaterOrEqual(t, waited, tc.least)
			require.LessOrEqual(t, waited, tc.most)
			err = results.Report(w.Console)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			require.Contains(t, w.log.String(), tc.want)
		})
	}
}

// A run of more checks than a page holds is read to its end.
func TestCIsVerdictIsOnTheLastPage(t *testing.T) {
	t.Parallel()
	results, _, _, err := judged(t, release.Stable, func(w *world) {
		require.NoError(t, w.github.Withdraw(commit))
		for _, name := range []string{"ci", "pr-doc-guard"} { // the oldest, and so on the last page
			w.ci(t, local.Check{Name: name, Conclusion: "failure"})
		}
		for range 230 {
			w.ci(t, local.Check{Name: "something else", Conclusion: "success"})
		}
	})
	require.NoError(t, err)
	require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
	require.Contains(t, results.Err().Error(), "it did not succeed")
}

// A stable release that is no hotfix lies on main, as GitHub knows main.
func TestAStableReleaseLiesOnMain(t *testing.T) {
	t.Parallel()
	elsewhere := func(w *world) {
		require.NoError(t, w.github.Push("refs/heads/main", other, nil))
		require.NoError(t, w.github.Push("refs/heads/hotfix/1.0.1", commit, nil))
		w.green(t)
	}
	for name, tc := range map[string]struct {
		class    release.Class
		happened func(*world)
		status   check.Status
	}{
		"at main's head": {release.Stable, func(w *world) { w.green(t) }, check.Passed},
		"behind it": {release.Stable, func(w *world) {
			w.green(t)
			_, err := w.github.Merge("later", map[string][]byte{"a": nil})
			require.NoError(t, err)
		}, check.Passed},
		"a hotfix on its branch":    {release.Hotfix, elsewhere, check.Inapplicable},
		"a candidate on any branch": {release.Candidate, elsewhere, check.Inapplicable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results, _, _, err := judged(t, tc.class, tc.happened)
			require.NoError(t, err)
			require.NoError(t, results.Err())
			require.Equal(t, tc.status, results[len(results)-1].Status)
		})
	}
}

// A commit that main does not hold is refused; one that shares nothing with main cannot be judged.
func TestAStableReleaseThatDoesNotLieOnMain(t *testing.T) {
	t.Parallel()
	ahead := strings.Repeat("8", 40)
	for name, tc := range map[string]struct {
		tagged string
		code   fault.Code
		said   string
	}{
		"a branch of main":        {ahead, fault.Verification, "main does not hold the tagged commit"},
		"a history of its own":    {commit, fault.General, "compare main with"},
		"main itself, to compare": {other, fault.Success, ""},
	} {
		w := open(t, "mero-kms-v1.0.0")
		for _, push := range [][2]string{{"main", other}, {"hotfix/a", other}, {"hotfix/a", ahead}, {"hotfix/b", commit}} {
			require.NoError(t, w.github.Push("refs/heads/"+push[0], push[1], nil))
		}
		require.NoError(t, w.github.Conclude(tc.tagged, "success"))
		w.impatient(t)
		w.Checkout.Commit = tc.tagged
		p := &plan.Plan{Subject: plan.Subject{Tag: w.Tag, Commit: tc.tagged},
			Decision: plan.Decision{Class: release.Stable}, Checks: check.Results{check.Pass("what came before")}}
		results, err := w.CI(t.Context(), &pipeline.Work{Console: w.Console}, p)
		if err == nil {
			err = results.Err()
		}
		require.Equal(t, tc.code, fault.CodeOf(err), "%s: %v", name, err)
		if tc.said != "" {
			require.ErrorContains(t, err, tc.said, name)
		}
	}
}

// "Could not look" is no verdict.
func TestCICannotBeLookedAt(t *testing.T) {
	t.Parallel()
	for name, permissions := range map[string]map[string]string{
		"no right to read checks":   {"contents": "write", "statuses": "read"},
		"no right to read statuses": {"contents": "write", "checks": "read"},
		"no right to compare":       {"checks": "read", "statuses": "read"},
	} {
		_, _, _, err := judged(t, release.Stable, func(w *world) {
			w.green(t)
			job, err := w.github.JobToken(permissions)
			require.NoError(t, err)
			w.Env.GitHubToken = config.Secret(job)
		})
		require.Equal(t, fault.General, fault.CodeOf(err), name)
	}
	_, _, _, err := judged(t, release.Stable, func(w *world) {
		w.green(t)
		w.Env.Transport = refusing{w.Env.Transport, "/rules/branches/main"}
	})
	require.Equal(t, fault.General, fault.CodeOf(err), "the rules are not known")
}

// refusing answers 403 below a path.
type refusing struct {
	next http.RoundTripper
	path string
}

func (r refusing) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, r.path) {
		return &http.Response{StatusCode: http.StatusForbidden, Header: http.Header{}, Request: req,
			Body: http.NoBody}, nil
	}
	return r.next.RoundTrip(req)
}

// What stands in the way already is not waited for.
func TestCIIsNotWaitedForInVain(t *testing.T) {
	t.Parallel()
	w := open(t, "mero-kms-v1.0.0")
	require.NoError(t, w.github.Push("refs/heads/main", commit, nil))
	p := &plan.Plan{Subject: plan.Subject{Tag: w.Tag, Commit: commit}, Decision: plan.Decision{Class: release.Stable},
		Checks: check.Results{check.Fail("guard 2", fault.Verification, "", "", "")}}
	began := time.Now()
	results, err := w.CI(t.Context(), &pipeline.Work{Console: w.Console}, p) // its client would wait for real
	require.NoError(t, err)
	require.Less(t, time.Since(began), 4*time.Second)
	require.ErrorContains(t, results.Err(), "it has not ended")
}

// The plan shows what others say by now, waits for nothing and changes nothing.
func TestClearanceOfAPlan(t *testing.T) {
	t.Parallel()
	statuses := func(results check.Results) (out []string) {
		for _, r := range results {
			out = append(out, string(r.Status)+" "+r.Name)
		}
		return out
	}
	reviewed := " approval: environment release-auditor requires reviewers"
	for name, tc := range map[string]struct {
		class    release.Class
		happened func(*testing.T, *world, *plan.Plan)
		want     []string
	}{
		"in order": {release.Stable, func(t *testing.T, w *world, _ *plan.Plan) { w.green(t) },
			[]string{"pass CI: ci", "pass CI: pr-doc-guard", "pass CI: a stable release lies on main", "pass" + reviewed}},
		"a candidate": {release.Candidate, func(t *testing.T, w *world, _ *plan.Plan) { w.green(t) },
			[]string{"pass CI: ci", "pass CI: pr-doc-guard", "not applicable CI: a stable release lies on main"}},
		"still running, and nobody to ask": {release.Stable, func(_ *testing.T, w *world, _ *plan.Plan) {
			w.github.Change(func(s *local.Settings) { s.Environments = nil })
		}, []string{"fail CI: ci", "fail CI: pr-doc-guard", "pass CI: a stable release lies on main", "fail" + reviewed}},
		"not pushed": {release.Stable, func(_ *testing.T, _ *world, p *plan.Plan) { p.Commit = other },
			[]string{"skipped CI", "pass" + reviewed}},
		"no right to look": {release.Stable, func(t *testing.T, w *world, _ *plan.Plan) {
			job, err := w.github.JobToken(map[string]string{"contents": "read"})
			require.NoError(t, err)
			w.Env.GitHubToken = config.Secret(job)
		}, []string{"skipped CI", "skipped approval: environment release-auditor"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, "mero-kms-v1.0.0")
			w.github.Change(func(s *local.Settings) { *s = local.Documented("ann", "ben") })
			require.NoError(t, w.github.Push("refs/heads/main", commit, nil))
			p := &plan.Plan{Subject: plan.Subject{Tag: w.Tag, Commit: commit}, Decision: plan.Decision{Class: tc.class},
				Rules: plan.RulesOf(tc.class)}
			tc.happened(t, w, p)
			client, err := github.New(github.Options{Repository: config.DefaultRepository, Token: w.Env.GitHubToken.Reveal(),
				Transport: w.Env.Transport})
			require.NoError(t, err)
			require.Equal(t, tc.want, statuses(steps.Clearance(t.Context(), client, p)))
		})
	}
}
