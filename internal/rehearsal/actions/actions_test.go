package actions_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/actions"
)

func TestATagStartsTheWorkflowsOfItsCommit(t *testing.T) {
	t.Parallel()
	dir := repository(t, whole("  a: {runs-on: u, steps: [{run: echo first}]}"))
	write(t, dir, whole("  b: {runs-on: u, steps: [{run: echo second}]}"))
	git(t, dir, "tag", "v2")
	git(t, dir, "tag", "other")
	s := service(t, dir, actions.Options{})
	for tag, want := range map[string]string{"v1": "a", "v2": "b"} {
		runs, err := s.Push(t.Context(), tag)
		require.NoError(t, err)
		require.Len(t, runs, 1)
		require.NoError(t, runs[0].Start(t.Context()))
		require.Equal(t, actions.Success, result(t, runs[0], want))
		require.Equal(t, "w.yaml", runs[0].Workflow())
	}
	runs, err := s.Push(t.Context(), "other")
	require.NoError(t, err)
	require.Empty(t, runs)
}

func TestMoreThanThreeTagsStartNothing(t *testing.T) {
	t.Parallel()
	dir := repository(t, whole("  a: {runs-on: u, steps: [{run: echo}]}"))
	for _, tag := range []string{"v2", "v3", "v4"} {
		git(t, dir, "tag", tag)
	}
	s := service(t, dir, actions.Options{})
	runs, err := s.Push(t.Context(), "v1", "v2", "v3")
	require.NoError(t, err)
	require.Len(t, runs, 3)
	runs, err = s.Push(t.Context(), "v1", "v2", "v3", "v4")
	require.NoError(t, err)
	require.Empty(t, runs)
}

func TestWhatIsNotSetIsEmpty(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    env: {A: "${{ vars.A }}", B: "${{ secrets.B }}", C: "${{ vars.C || 'else' }}", D: "${{ vars.D }}"}
    steps:
      - run: echo "[$A][$B][$C][$D][${E-unset}]"
`, actions.Options{Vars: map[string]string{"D": "set"}})
	require.Contains(t, log(t, r, "a"), "\n[][][else][set][unset]\n")
}

func TestExpressions(t *testing.T) {
	t.Parallel()
	for expression, want := range map[string]string{
		"'a' == 'A'": "true", "'1' == 1": "true", "!''": "true", "'' || 'b'": "b", "'a' && 'b'": "b", "'' && 'b'": "",
		"!vars.NO && secrets.YES || ''": "shh", "vars.YES != ''": "true", "vars.no != ''": "false", "vars.yes": "v",
		"contains(github.ref_name, 'V')": "true", "startsWith('mero-x', 'mero-')": "true", "endsWith('x', 'y')": "false",
		"github.run_attempt": "1", "github.ref": "refs/tags/v1", "null == ''": "true", "true && 2": "2",
	} {
		r := started(t, "  a: {runs-on: u, steps: [{run: 'echo \"<$E>\"', env: {E: \"${{ "+expression+" }}\"}}]}",
			actions.Options{Vars: map[string]string{"YES": "v"}, Secrets: map[string]string{"YES": "shh"}})
		require.Contains(t, log(t, r, "a"), "\n<"+want+">\n", expression)
	}
}

func TestAnExpressionThatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	for _, expression := range []string{"steps.a.outputs.b", "fromJSON('1')", "1 < 2", "secrets.x +"} {
		r := pushed(t, "  a: {runs-on: u, steps: [{run: echo, env: {E: \"${{ "+expression+" }}\"}}]}", actions.Options{})
		require.Error(t, r.Start(t.Context()), expression)
	}
}

func TestAJobRunsWhenWhatItNeedsSucceeded(t *testing.T) {
	t.Parallel()
	r := started(t, `  fails: {runs-on: u, steps: [{run: exit 3}]}
  after: {needs: fails, runs-on: u, steps: [{run: echo}]}
  conditional: {needs: fails, if: "${{ github.ref_name == 'v1' }}", runs-on: u, steps: [{run: echo}]}
  later: {needs: after, runs-on: u, steps: [{run: echo}]}
  always:
    needs: [fails, after]
    if: always()
    runs-on: u
    steps: [{run: echo "$R", env: {R: "${{ needs.fails.result }}"}}]
  cleanup: {needs: fails, if: failure(), runs-on: u, steps: [{run: echo}]}
  not: {if: "github.ref_name != 'v1'", runs-on: u, steps: [{run: echo}]}
`, actions.Options{})
	require.Equal(t, actions.Failure, r.Result())
	for job, want := range map[string]actions.Result{"fails": actions.Failure, "after": actions.Skipped,
		"conditional": actions.Skipped, "later": actions.Skipped, "always": actions.Success, "cleanup": actions.Success,
		"not": actions.Skipped} {
		require.Equal(t, want, result(t, r, job), job)
	}
	require.Contains(t, log(t, r, "always"), "\nfailure\n")
}

func TestStepsAfterAFailure(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - {run: "exit 1", continue-on-error: true}
      - run: echo goes-on
      - run: |
          false
          echo not-reached
      - run: echo "left-out"
      - {if: always(), run: echo at-the-end}
      - {if: failure(), run: echo because}
`, actions.Options{})
	require.Equal(t, actions.Failure, result(t, r, "a"))
	said := strings.Split(log(t, r, "a"), "\n")
	for _, line := range []string{"goes-on", "at-the-end", "because"} {
		require.Contains(t, said, line)
	}
	require.NotContains(t, said, "not-reached")
	require.NotContains(t, said, "left-out")
}

func TestAJobHasItsOwnRightsAlone(t *testing.T) {
	t.Parallel()
	var asked []map[string]string
	r := started(t, `  a:
    runs-on: u
    permissions: {contents: write, packages: read}
    steps:
      - run: echo "[${GITHUB_TOKEN-none}][${ACTIONS_ID_TOKEN_REQUEST_URL-none}]"
      - run: test "$GITHUB_TOKEN" = "$T" && test "$T" = "token-of-$WHOM"
        env: {GITHUB_TOKEN: "${{ github.token }}", T: "${{ secrets.GITHUB_TOKEN }}", WHOM: the-job}
`, actions.Options{Token: func(j *actions.Job) string {
		asked = append(asked, j.Permissions())
		return "token-of-the-job"
	}})
	require.Equal(t, actions.Success, result(t, r, "a"), log(t, r, "a"))
	require.Contains(t, log(t, r, "a"), "\n[none][none]\n", "a script is given no token that it does not ask for")
	require.Equal(t, []map[string]string{{"contents": "write", "packages": "read"}}, asked)
}

func TestWithoutPermissionsAJobHasThoseOfTheWorkflow(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]map[string]string{
		"name: w\non: push\npermissions: {}\njobs: {a: {runs-on: u, steps: [{run: echo}]}}": {},
		"name: w\non: push\npermissions: {issues: write}\njobs: {a: {runs-on: u, steps: [{run: echo}]}}": {
			"issues": "write"},
		"name: w\non: push\njobs: {a: {runs-on: u, steps: [{run: echo}]}}": {"contents": "read",
			"packages": "read"},
	} {
		require.Equal(t, want, started(t, source, actions.Options{}).Job("a").Permissions(), source)
	}
}

// identity asks as a job does.
func identity(t *testing.T, s http.Handler, bearer string) (int, string) {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet,
		"https://"+actions.IdentityHost+"/1/token?api-version=2.0&audience=sigstore", nil)
	req.Header.Set("Authorization", "bearer "+bearer)
	rec := httptest.NewRecorder()
	s.ServeHTTP(rec, req)
	var out struct{ Value string }
	_ = json.Unmarshal(rec.Body.Bytes(), &out)
	return rec.Code, out.Value
}

func TestAnIdentityNeedsItsPermission(t *testing.T) {
	t.Parallel()
	source := repository(t, whole(`  with:
    runs-on: u
    permissions: {id-token: write}
    steps: [{run: 'echo "$ACTIONS_ID_TOKEN_REQUEST_URL $ACTIONS_ID_TOKEN_REQUEST_TOKEN" > "$WHERE"'}]
  without: {runs-on: u, steps: [{run: 'test -z "$ACTIONS_ID_TOKEN_REQUEST_TOKEN"'}]}
`))
	file := filepath.Join(t.TempDir(), "said")
	s := service(t, source, actions.Options{Machine: actions.Machine{Env: []string{"WHERE=" + file}},
		Identity: func(_ context.Context, c actions.Claims, audience string) (string, error) {
			return strings.Join([]string{c.Repository, c.Workflow, c.Ref, audience}, " "), nil
		}})
	runs, err := s.Push(t.Context(), "v1")
	require.NoError(t, err)
	require.NoError(t, runs[0].Start(t.Context()))
	require.Equal(t, actions.Success, runs[0].Result())
	said, err := os.ReadFile(file)
	require.NoError(t, err)
	address, bearer, _ := strings.Cut(strings.TrimSpace(string(said)), " ")
	require.True(t, strings.HasPrefix(address, "https://"+actions.IdentityHost+"/"), address)
	code, _ := identity(t, s, bearer)
	require.Equal(t, http.StatusUnauthorized, code, "the job has ended")
	code, _ = identity(t, s, "")
	require.Equal(t, http.StatusUnauthorized, code)
}

func TestAnIdentityIsTheJobs(t *testing.T) {
	t.Parallel()
	var value string
	source := repository(t, whole("  a: {runs-on: u, permissions: {id-token: write}, steps: [{run: 'echo'}]}"))
	s := service(t, source, actions.Options{Identity: func(_ context.Context, c actions.Claims, a string) (string, error) {
		return c.Workflow + " " + c.Ref + " " + a, nil
	}, Log: func(string) {}})
	runs, err := s.Push(t.Context(), "v1")
	require.NoError(t, err)
	runs[0].Before = func(_ *actions.Job, _ string, env map[string]string) error {
		code, got := identity(t, s, env["ACTIONS_ID_TOKEN_REQUEST_TOKEN"])
		require.Equal(t, http.StatusOK, code)
		value = got
		return nil
	}
	require.NoError(t, runs[0].Start(t.Context()))
	require.Equal(t, "w.yaml refs/tags/v1 sigstore", value)
}

func TestTheLogHoldsNoSecret(t *testing.T) {
	t.Parallel()
	const secret = "a-long-enough-secret"
	r := started(t, `  a: {runs-on: u, steps: [{run: 'echo "it is $S"', env: {S: "${{ secrets.S }}"}}]}`,
		actions.Options{Secrets: map[string]string{"S": secret}})
	require.Equal(t, actions.Failure, result(t, r, "a"))
	require.NotContains(t, log(t, r, "a"), secret)
}

func TestEachJobHasAMachineOfItsOwn(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - uses: `+checkout+`
        with: {fetch-depth: 0, persist-credentials: false}
      - run: git describe --tags --exact-match && touch left "$RUNNER_TEMP/left" "$HOME/left"
  b:
    needs: a
    runs-on: u
    steps:
      - run: test -z "$(ls)" && test -z "$(ls "$HOME")" && test ! -e "$RUNNER_TEMP/left"
`, actions.Options{})
	require.Equal(t, actions.Success, r.Result(), log(t, r, "a")+log(t, r, "b"))
}

func TestACheckoutIsOfTheTag(t *testing.T) {
	t.Parallel()
	for depth, want := range map[string]string{"0": "2 v0 v1", "1": "1 v1"} {
		dir := repository(t, whole("  x: {runs-on: u, steps: [{run: echo}]}"))
		git(t, dir, "tag", "-d", "v1")
		git(t, dir, "tag", "v0")
		write(t, dir, whole(`  a:
    runs-on: u
    steps:
      - {uses: `+checkout+`, with: {persist-credentials: false, fetch-depth: `+depth+`}}
      - run: |
          echo "<$(git rev-list --count HEAD) $(git tag | xargs)>"
          git rev-parse HEAD
          test -z "$(git branch --show-current)"
`))
		git(t, dir, "tag", "v1")
		runs, err := service(t, dir, actions.Options{}).Push(t.Context(), "v1")
		require.NoError(t, err)
		require.NoError(t, runs[0].Start(t.Context()))
		require.Contains(t, log(t, runs[0], "a"), "<"+want+">")
		require.Contains(t, log(t, runs[0], "a"), runs[0].Commit)
	}
}

func TestAMatrixIsAJobForEachValue(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    strategy: {matrix: {p: [x, y]}}
    steps: [{run: 'test "$P" = x', env: {P: "${{ matrix.p }}"}}]
  b: {needs: a, runs-on: u, steps: [{run: echo}]}
`, actions.Options{})
	require.Equal(t, actions.Success, result(t, r, "a (x)"))
	require.Equal(t, actions.Failure, result(t, r, "a (y)"))
	require.Equal(t, actions.Skipped, result(t, r, "b"), "one of those that it needs failed")
}

func TestFailedJobsRunAgain(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - run: mkdir d && echo "$GITHUB_RUN_ATTEMPT" > d/attempt
      - {uses: `+upload+`, with: {name: a, path: d}}
  b:
    needs: a
    runs-on: u
    steps:
      - {uses: `+download+`, with: {name: a, path: d}}
      - run: echo "<$(cat d/attempt) $GITHUB_RUN_ATTEMPT>"
      - {if: "github.run_attempt == '1'", run: exit 1}
  c: {needs: b, runs-on: u, steps: [{run: echo}]}
`, actions.Options{})
	require.Equal(t, actions.Failure, r.Result())
	require.Equal(t, actions.Skipped, result(t, r, "c"))
	require.NoError(t, r.Rerun(t.Context()))
	require.Equal(t, actions.Success, r.Result())
	require.Equal(t, 2, r.Attempt)
	require.Contains(t, log(t, r, "b"), "<1 2>", "a ran once, and its artifact is still there")
	require.Equal(t, actions.Success, result(t, r, "c"))
}

func TestAllJobsRunAgainWithoutArtifacts(t *testing.T) {
	t.Parallel()
	r := started(t, `  a:
    runs-on: u
    steps:
      - {if: "github.run_attempt != '1'", uses: `+download+`, with: {name: a, path: d}}
      - run: mkdir d && echo > d/x
      - {uses: `+upload+`, with: {name: a, path: d}}
`, actions.Options{})
	require.Equal(t, actions.Success, r.Result())
	require.NoError(t, r.RerunAll(t.Context()))
	require.Contains(t, log(t, r, "a"), "artifact not found")
}

func TestOneRunOfAGroupAtATime(t *testing.T) {
	t.Parallel()
	source := "name: w\non: push\nconcurrency: {group: 'g-${{ github.repository }}'}\n" +
		"jobs: {a: {runs-on: u, steps: [{run: echo}, {run: echo}]}}"
	s := service(t, repository(t, source), actions.Options{})
	var inside, most atomic.Int32
	done := make(chan error, 2)
	for range 2 {
		runs, err := s.Push(t.Context(), "v1")
		require.NoError(t, err)
		scripts := 0
		runs[0].Before = func(*actions.Job, string, map[string]string) error {
			if scripts++; scripts == 1 {
				most.Store(max(most.Load(), inside.Add(1)))
			} else {
				inside.Add(-1)
			}
			return nil
		}
		go func() { done <- runs[0].Start(t.Context()) }()
	}
	require.NoError(t, <-done)
	require.NoError(t, <-done)
	require.EqualValues(t, 1, most.Load())
}

func TestAnEnvironmentWantsItsReviewer(t *testing.T) {
	t.Parallel()
	const jobs = "  a: {environment: e, runs-on: u, steps: [{run: echo}]}"
	for name, tc := range map[string]struct {
		tags []string
		by   string
		want actions.Result
	}{
		"approved":                {[]string{"v*"}, "ben", actions.Success},
		"rejected":                {nil, "", actions.Failure},
		"by who pushed":           {nil, "ann", actions.Failure},
		"by somebody":             {nil, "eve", actions.Failure},
		"a tag that may not come": {[]string{"w*"}, "ben", actions.Failure},
	} {
		r := started(t, jobs, actions.Options{Environments: map[string]actions.Environment{"e": {Tags: tc.tags,
			Reviewers: []string{"ann", "ben"}, Approve: func(context.Context, *actions.Run) string { return tc.by }}}})
		require.Equal(t, tc.want, r.Result(), name)
	}
}

// kept is a record that gives one id and keeps what it hears.
type kept struct{ heard []string }

func (k *kept) Started(workflow, tag, _, actor string) (int, error) {
	k.heard = append(k.heard, "started "+workflow+" "+tag+" "+actor)
	return 77, nil
}

func (k *kept) RunAgain(id int, by string) error {
	k.heard = append(k.heard, fmt.Sprintf("again %d %s", id, by))
	return nil
}

func (k *kept) Reviewed(id int, environment, by string, approved bool) error {
	k.heard = append(k.heard, fmt.Sprintf("reviewed %d %s %s %t", id, environment, by, approved))
	return nil
}

func TestDecisionsAreKeptWithTheRun(t *testing.T) {
	t.Parallel()
	record, says := &kept{}, ""
	r := pushed(t, "  a: {environment: e, runs-on: u, steps: [{run: echo $GITHUB_RUN_ID}]}", actions.Options{
		Record: record, Environments: map[string]actions.Environment{"e": {Reviewers: []string{"ann", "ben"},
			SelfReview: true,
			Approve:    func(context.Context, *actions.Run) string { return says }}}})
	require.NoError(t, r.Start(t.Context()))
	require.Equal(t, actions.Failure, r.Result())
	says = "ann"
	require.NoError(t, r.Rerun(t.Context()))
	require.Equal(t, actions.Success, r.Result())
	require.Contains(t, log(t, r, "a"), "77\n")
	require.Equal(t, []string{"started w.yaml v1 ann", "reviewed 77 e ben false", "again 77 ann",
		"reviewed 77 e ann true"}, record.heard)
}

func TestAnEnvironmentThatNobodyMadeProtectsNothing(t *testing.T) {
	t.Parallel()
	r := started(t, "  a: {environment: e, runs-on: u, steps: [{run: echo}]}", actions.Options{})
	require.Equal(t, actions.Success, r.Result())
}

func TestATimeoutEndsTheJob(t *testing.T) {
	t.Parallel()
	r := started(t, "  a: {timeout-minutes: 0.01, runs-on: u, steps: [{run: exec sleep 60}]}", actions.Options{})
	require.Equal(t, actions.Failure, r.Result())
}

func TestWhatIsNotKnownIsRefused(t *testing.T) {
	t.Parallel()
	for _, jobs := range []string{
		"  a: {runs-on: u, steps: [{uses: 'other/action@de0fac2e4500dabe0009e67214ff5f5447ce83dd'}]}",
		"  a: {runs-on: u, strategy: {matrix: {p: [x], exclude: [{p: x}]}}, steps: [{run: echo}]}",
		"  a: {needs: b, runs-on: u, steps: [{run: echo}]}\n  b: {needs: a, runs-on: u, steps: [{run: echo}]}",
	} {
		require.Error(t, pushed(t, jobs, actions.Options{}).Start(t.Context()), jobs)
	}
	r := started(t, "  a: {runs-on: u, steps: [{run: 'echo X=1 >> \"$GITHUB_ENV\"'}]}", actions.Options{})
	require.Equal(t, actions.Failure, r.Result())
}

func TestAHostThatAJobDoesNotReach(t *testing.T) {
	t.Parallel()
	r := pushed(t, "  a: {runs-on: u, steps: [{run: echo}]}", actions.Options{})
	r.Refuse = func(_ *actions.Job, host string) bool { return host == "ghcr.io" }
	r.Before = func(_ *actions.Job, _ string, env map[string]string) error {
		proxy, err := url.Parse(env["HTTPS_PROXY"])
		require.NoError(t, err)
		client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy), DisableKeepAlives: true}}
		resp, err := client.Get("http://ghcr.io/v2/")
		require.NoError(t, err)
		require.Equal(t, http.StatusBadGateway, resp.StatusCode)
		return resp.Body.Close()
	}
	require.NoError(t, r.Start(t.Context()))
	require.Equal(t, []string{"ghcr.io"}, r.Job("a").Hosts)
}

func TestAJobsWayOut(t *testing.T) {
	t.Parallel()
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("reached " + r.Host))
	}))
	defer behind.Close()
	s := service(t, repository(t, whole("  a: {runs-on: u, steps: [{run: echo}]}")), actions.Options{})
	runs, err := s.Push(t.Context(), "v1")
	require.NoError(t, err)
	var direct error
	runs[0].Before = func(_ *actions.Job, _ string, env map[string]string) error {
		proxy, err := url.Parse(env["HTTPS_PROXY"])
		require.NoError(t, err)
		client := &http.Client{Transport: &http.Transport{Proxy: http.ProxyURL(proxy)}}
		_, direct = client.Get("https://ghcr.io/v2/") // the world is not there
		return nil
	}
	require.NoError(t, runs[0].Start(t.Context()))
	require.Error(t, direct)
	require.Equal(t, []string{"ghcr.io"}, runs[0].Job("a").Hosts)
}
