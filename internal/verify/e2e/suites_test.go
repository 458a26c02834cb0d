package e2e_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// parts are those that have checks, each once, in their order.
func parts(cs e2e.Checks) (out []e2e.Part) {
	for _, c := range cs {
		if !slices.Contains(out, c.Part) {
			out = append(out, c.Part)
		}
	}
	return out
}

// "Two test suites run independently": each is whole without the other.
func TestEachSuiteAlone(t *testing.T) {
	t.Parallel()
	for suite, tc := range map[e2e.Suite]struct {
		parts    []e2e.Part
		services int
		nodes    []string
	}{
		e2e.NodeSuite: {[]e2e.Part{e2e.DeployNode, e2e.BootVerification, e2e.KMSAttestation, e2e.KeyRelease, e2e.Cleanup},
			1, []string{"locked-read-only"}},
		e2e.GuardrailSuite: {[]e2e.Part{e2e.CrossVersion, e2e.ProfileIsolation, e2e.StalePolicy, e2e.MeasurementConsistency,
			e2e.GuardrailCleanup}, 2, []string{"debug", "locked-read-only"}},
	} {
		t.Run(string(suite), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.run.Suites = []e2e.Suite{suite}
			report := w.run.Execute(t.Context())
			require.NoError(t, report.Checks.Results().Strict().Err())
			require.ElementsMatch(t, tc.parts, parts(report.Checks))
			require.Equal(t, report.Checks, report.Checks.Of(suite))
			require.Len(t, report.Deployed, tc.services)
			var nodes []string
			for _, o := range report.Observed {
				if o.Family == release.Node {
					nodes = append(nodes, string(o.Profile))
				}
			}
			slices.Sort(nodes)
			require.Equal(t, tc.nodes, nodes)
			require.Equal(t, suite == e2e.NodeSuite, report.Matrix == nil)
		})
	}
}

// A suite that fails keeps the other from nothing.
func TestASuiteThatFailsLeavesTheOther(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		damage        func(*world)
		node, guarded bool // passes
	}{
		"the intruder does not boot": {func(w *world) { w.noCapacity(release.Debug) }, true, false},
		"no stale policy":            {func(w *world) { w.run.Stale = nil }, true, false},
		"a stale policy that could not be had": {func(w *world) {
			w.run.Stale = []e2e.Stale{{Profile: release.LockedReadOnly, Err: errors.New("GitHub is down")}}
		}, true, false},
		"a pair that does not pass its audit": {func(w *world) {
			bad := check.Of("a pair", errors.New("a bad signature"))
			w.run.Known = e2e.Checks{e2e.NewCheck(e2e.CrossVersion, bad, release.Debug)}
		}, true, false},
		"the clean-up of step 5": {func(w *world) { w.deleteError = errors.New("provider is down") }, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.damage(w)
			checks := w.run.Execute(t.Context()).Checks
			node, guarded := checks.Of(e2e.NodeSuite), checks.Of(e2e.GuardrailSuite)
			require.Equal(t, tc.node, node.Results().Err() == nil, "%v", node.Results().Err())
			require.Equal(t, tc.guarded, guarded.Results().Err() == nil, "%v", guarded.Results().Err())
		})
	}
}

// A check says which profiles it is about; one that is about the run is about each.
func TestChecksByProfile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	checks := w.run.Execute(t.Context()).Checks
	about := func(p release.Profile) []string { return names(checks.Concerning(p).Results()) }
	require.Equal(t, []string{isolationCheck, debugNodeCheck, debugAppraisal, cleanupCheck}, about(release.Debug))
	require.Equal(t, []string{cleanupCheck}, about(release.DebugReadOnly))
	require.ElementsMatch(t, slices.DeleteFunc(allChecks(), func(n string) bool {
		return n == debugNodeCheck || n == debugAppraisal
	}), about(release.LockedReadOnly))
}

// A rule changes results and nothing of where they belong.
func TestJudgedChecks(t *testing.T) {
	t.Parallel()
	skipped := e2e.Checks{e2e.NewCheck(e2e.ProfileIsolation, check.Skip("a", "b"), release.Debug)}
	strict := skipped.Judged(check.Results.Strict)
	require.Equal(t, check.Failed, strict[0].Result.Status)
	require.Equal(t, "guardrail B, profile isolation: a", strict[0].Result.Name)
	require.Equal(t, []release.Profile{release.Debug}, strict[0].Profiles)
	require.Equal(t, check.Skipped, skipped[0].Result.Status, "the checks themselves are left as they were")
}

// newNodes is the world of a node release: the released key service, unchanged,
// knows the release before; its update is what policy:promote would make.
func newNodes(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	current := policyName(version, release.LockedReadOnly)
	w.policies[updatedName] = w.policies[current]
	w.policies[current] = w.without(t, current, version)
	w.run.Release.Updated = map[release.Profile][]byte{release.LockedReadOnly: w.naming(t, updatedName)}
	w.run.Stale = []e2e.Stale{{Profile: release.LockedReadOnly, Admitted: w.older}}
	return w
}

const (
	updatedName    = "updated" // where the promoted policy is served
	promoted       = "the policy that policy:promote would make"
	releasedStale  = newNode + "the released policy of mero-kms-v1.2.0" + onceUpdated
	keyFromUpdated = "mero-tee-node E2E, step 4, key release: node " + locked +
		" gets its own key, twice the same, from the service with " + promoted
	pairUpdated = "guardrail A, cross-version: service " + locked + " of mero-kms-v1.2.0 with " + promoted +
		" gives a node of mero-tee-v1.2.0 its key"
)

// "Deploy the new node-image with an old KMS policy. Verify it fails … Then update
// the policy and verify it succeeds": the old policy is the released one.
func TestANodeReleaseAgainstTheReleasedKeyService(t *testing.T) {
	t.Parallel()
	w := newNodes(t)
	report := w.run.Execute(t.Context())
	require.NoError(t, report.Checks.Results().Strict().Err())
	require.Subset(t, names(report.Checks.Results()),
		[]string{attestationCheck, keyFromUpdated, pairUpdated, releasedStale, isolationCheck, attestCheck})
	require.NotContains(t, names(report.Checks.Results()), keyCheck)
	require.Len(t, report.Deployed, 2)
	unchanged, updated := report.Deployed[0], report.Deployed[1]
	require.True(t, unchanged.Unchanged)
	require.Equal(t, w.run.Release.ComposeHash[release.LockedReadOnly], unchanged.ComposeHash)
	require.False(t, updated.Unchanged)
	require.Equal(t, promoted, updated.Policy)
	require.NotEqual(t, unchanged.ComposeHash, updated.ComposeHash)
	require.Equal(t, promoted, report.Matrix[0].Policy)
	var said strings.Builder
	require.NoError(t, report.Write(&said))
	require.Contains(t, said.String(), "mero-tee-node E2E: 8 of 8 passed\nKMS-Node E2E Guardrails: 11 of 11 passed\n"+
		"checks that concern locked-read-only: 17 of 17 passed\n")
	require.Contains(t, said.String(), "reconfigured: service locked-read-only of mero-kms-v1.2.0, with "+promoted+"\n")
}

func TestNodeReleasesThatDoNotWork(t *testing.T) {
	t.Parallel()
	current := policyName(version, release.LockedReadOnly)
	for name, tc := range map[string]struct {
		damage func(*testing.T, *world)
		fails  map[string]string // check to a part of its reason, Expected or Got
	}{
		"the released service gives the new node a key": {func(_ *testing.T, w *world) {
			w.policies[current] = w.policies[updatedName]
		}, map[string]string{releasedStale: "the key was released"}},
		"the updated policy still refuses it": {func(_ *testing.T, w *world) {
			w.policies[updatedName] = w.policies[current]
		}, map[string]string{keyFromUpdated: "policy_violation", pairUpdated: "policy_violation",
			releasedStale: "after the update, to " + promoted}},
		"the released service refuses everybody": {func(t *testing.T, w *world) {
			p, err := w.policies[current].WithOtherMRTD()
			require.NoError(t, err)
			w.policies[current] = p
		}, map[string]string{releasedStale: "which the older policy admits"}},
		"the released service refuses for the machine's status": {func(_ *testing.T, w *world) {
			w.policies[current].AllowedTCBStatus = []string{"SWHardeningNeeded"}
		}, map[string]string{releasedStale: "another reason than the node's registers",
			isolationCheck: "another reason than the node's registers"}},
		"the two policies are one": {func(_ *testing.T, w *world) { w.run.Release.Updated = nil },
			map[string]string{keyCheck: "policy_violation", pairCheck: "policy_violation",
				releasedStale: "the stale policy and the updated one are the same"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newNodes(t)
			tc.damage(t, w)
			requireExactly(t, w.run.Execute(t.Context()).Checks, tc.fails)
		})
	}
}

// requireExactly: these fail, for these reasons, and no others but appraisals.
func requireExactly(t *testing.T, checks e2e.Checks, fails map[string]string) {
	t.Helper()
	got := notPassed(checks.Results())
	maps.DeleteFunc(got, isAppraisal)
	for name, reason := range fails {
		r := got[name]
		require.Equal(t, check.Failed, r.Status, name)
		require.Contains(t, r.Reason+" "+r.Expected+" "+r.Got, reason, name)
	}
	require.Len(t, got, len(fails), "%v", got)
}

// Guardrail C of a first release: the same policy with another MRTD, for which the node is refused.
func TestPoliciesMadeStale(t *testing.T) {
	t.Parallel()
	current := policyName(version, release.LockedReadOnly)
	for name, tc := range map[string]struct {
		damage func(*testing.T, *world)
		reason string
	}{
		"it is not stale": {func(_ *testing.T, w *world) {
			w.policies[staleName] = w.policies[current]
		}, "the key was released"},
		"another register is stale": {func(_ *testing.T, w *world) {
			p := *w.policies[current]
			p.Measurements = slices.Clone(p.Measurements)
			for i := range p.Measurements {
				p.Measurements[i].RTMR1 = tdx.Register{byte(i + 1)}
			}
			p.AllowedRTMR1 = []tdx.Register{{1}, {2}}
			w.policies[staleName] = &p
		}, "another reason than the node's registers"},
		"the service refuses for the machine's status": {func(_ *testing.T, w *world) {
			w.policies[staleName].AllowedTCBStatus = []string{"SWHardeningNeeded"}
		}, "tcb_status UpToDate"},
		"it could not be shared": {func(_ *testing.T, w *world) { w.run.Stale[0].Err = errors.New("GitHub is down") },
			"could not be prepared: GitHub is down"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.damage(t, w)
			requireExactly(t, w.run.Execute(t.Context()).Checks, map[string]string{staleCheck: tc.reason})
		})
	}
}

// That none was prepared is never "not applicable".
func TestNoStalePolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run.Stale = nil
	requireExactly(t, w.run.Execute(t.Context()).Checks, map[string]string{
		"guardrail C, stale policy: a node of mero-tee-v1.2.0 is refused under an older policy with 403 " +
			"policy_violation": "none"})
}

// Step 1: whatever keeps an image from becoming a node fails it, and what rests on it.
func TestNodesThatAreNotDeployed(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"no capacity in the zone", "the image is gone", "no report within 15m0s"} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.edit = func(p release.Profile, r *agent.Report, err error) (*agent.Report, error) {
				if p == release.LockedReadOnly {
					return nil, errors.New(reason)
				}
				return r, err
			}
			requireFailures(t, w.run.Execute(t.Context()).Checks.Results(), map[string]string{deployedCheck: reason,
				bootedCheck: reason, answersCheck: reason, attestationCheck: reason, keyCheck: reason, nodeCheck: reason})
		})
	}
}

// Step 5 asks the providers' lists, and believes no answer to a deletion.
func TestCleanupByTheProvidersLists(t *testing.T) {
	t.Parallel()
	listing := func(answers ...[]string) func(context.Context) ([]string, error) {
		return func(context.Context) ([]string, error) {
			now := answers[0]
			if len(answers) > 1 {
				answers = answers[1:]
			}
			return now, nil
		}
	}
	for name, tc := range map[string]struct {
		damage func(*world)
		want   string // empty: it passes
	}{
		"others' applications": {func(w *world) {
			w.lists = listing([]string{"an-operators", "mero-kms-1-2-0-debug-run2", "run1"})
		}, ""},
		"a list that is slow": {func(w *world) {
			w.lists = listing([]string{"mero-kms-1-2-0-debug-run1"}, []string{"mero-kms-1-2-0-debug-run1"}, nil)
		}, ""},
		"an application that stays": {func(w *world) { w.lists = listing([]string{"mero-kms-1-2-0-debug-run1"}) },
			"listed: CVM mero-kms-1-2-0-debug-run1"},
		"one that was never given back to us": {func(w *world) {
			w.lists = listing([]string{"x", "mero-kms-1-2-0-locked-read-only-stale-run1"})
		}, "listed: CVM mero-kms-1-2-0-locked-read-only-stale-run1"},
		"a machine that stays": {func(w *world) { w.leftNodes = []string{"vm mero-e2e-debug-1"} }, "vm mero-e2e-debug-1"},
		"a disk that stays":    {func(w *world) { w.leftNodes = []string{"disk mero-e2e-debug-1"} }, "disk mero-e2e-debug-1"},
		"a list that cannot be had": {func(w *world) {
			w.lists = func(context.Context) ([]string, error) { return nil, errors.New("503") }
		}, "the applications cannot be listed: 503"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tc.damage(w)
			checks := w.run.Execute(t.Context()).Checks
			if tc.want == "" {
				require.NoError(t, checks.Results().Err())
				return
			}
			requireExactly(t, checks, map[string]string{cleanupCheck: tc.want})
			require.Equal(t, fault.General, fault.CodeOf(checks.Results().Err()))
		})
	}
}

// One that cannot be deleted does not keep the others.
func TestCleanupGoesOnAfterAnError(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.deleteError = errors.New("provider is down")
	checks := w.run.Execute(t.Context()).Checks
	requireExactly(t, checks, map[string]string{cleanupCheck: "2 not deleted"})
	require.Empty(t, w.deployed, "both deletions were asked for")
}
