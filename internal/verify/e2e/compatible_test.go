package e2e_test

import (
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/policies"
)

const (
	olderNodeCheck = "guardrail A, cross-version: service " + locked +
		" of mero-kms-v1.2.0 with its released policy gives a node of mero-tee-v1.1.0 its key"
	olderKMSCheck = "guardrail A, cross-version: service " + locked +
		" of mero-kms-v1.1.0 with its released policy gives a node of mero-tee-v1.2.0 its key"
	olderCheck = newNode + olderTitle + onceUpdated
	olderTitle = "an older policy, without mero-tee-v1.2.0"
	staleName  = "stale" // where the stale policy is served
)

// compatible lists the release before with the release under test, crosswise,
// and prepares the older policy of guardrail C.
func compatible(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	before := w.publishKMS(t, older, w.older, w.run.Release.Node)
	w.run.Others = []e2e.Pair{
		{KMS: &w.run.Release, Node: w.older, Profiles: []release.Profile{release.LockedReadOnly}},
		{KMS: &before, Node: w.run.Release.Node, Profiles: release.Profiles()},
	}
	w.policies[staleName] = w.without(t, policyName(version, release.LockedReadOnly), version)
	w.run.Stale = []e2e.Stale{{Profile: release.LockedReadOnly, Policy: olderTitle,
		AppCompose: w.naming(t, staleName), Admitted: w.older}}
	return w
}

// without is the policy of that name before the node release came.
func (w *world) without(t *testing.T, name string, node release.Version) *policies.Policy {
	t.Helper()
	p, err := w.policies[name].Without(nodeTag(node))
	require.NoError(t, err)
	return p
}

func TestGuardrailsAAndC(t *testing.T) {
	t.Parallel()
	w := compatible(t)
	report := w.run.Execute(t.Context())
	require.NoError(t, report.Checks.Results().Strict().Err())
	require.Subset(t, names(report.Checks.Results()), []string{olderNodeCheck, olderKMSCheck, olderCheck})
	require.Equal(t, check.Passed, resultOf(report, olderCheck).Status)
	require.Equal(t, []release.Profile{release.LockedReadOnly}, report.Matrix.Passed(report.Tag, nodeTag(older)))
	require.Len(t, report.Observed, 2+3, "two services, three nodes; the older policy's deployment is no release")

	var table strings.Builder
	require.NoError(t, report.Matrix.Write(&table))
	require.Equal(t, `key service  profile           node 1.2.0  node 1.1.0
1.2.0        debug             -           -
1.2.0        debug-read-only   -           -
1.2.0        locked-read-only  pass        pass
1.1.0        debug             -           -
1.1.0        debug-read-only   -           -
1.1.0        locked-read-only  pass        -
`, table.String())
}

func resultOf(r *e2e.Report, name string) check.Result {
	for _, result := range r.Checks.Results() {
		if result.Name == name {
			return result
		}
	}
	return check.Result{}
}

func TestEveryProfileOfEveryPair(t *testing.T) {
	t.Parallel()
	w := compatible(t)
	w.run.Profiles = release.Profiles()
	report := w.run.Execute(t.Context())
	require.NoError(t, report.Checks.Results().Strict().Err())
	require.Len(t, report.Matrix, 3+1+3)
	require.Equal(t, release.Profiles(), report.Matrix.Passed(release.Tag{Family: release.KMS, Version: older},
		nodeTag(version)))
}

func TestPairsThatDoNotWork(t *testing.T) {
	t.Parallel()
	current, before := policyName(version, release.LockedReadOnly), policyName(older, release.LockedReadOnly)
	for name, tc := range map[string]struct {
		damage func(*testing.T, *world)
		fails  map[string]string // check to a part of its reason, Expected or Got
	}{
		"the policy lacks an older node that is listed": {func(t *testing.T, w *world) {
			w.policies[current] = w.without(t, current, older)
		}, map[string]string{olderNodeCheck: "policy_violation"}},
		"an older service that is listed does not know the node": {func(t *testing.T, w *world) {
			w.policies[before] = w.without(t, before, version)
		}, map[string]string{olderKMSCheck: "policy_violation"}},
		"an older service runs another compose file": {func(_ *testing.T, w *world) {
			w.run.Others[1].KMS.ComposeHash[release.LockedReadOnly] = [32]byte{1}
		}, map[string]string{olderKMSCheck: "compose hash"}},
		"the older policy admits the new node": {func(_ *testing.T, w *world) {
			w.policies[staleName] = w.policies[current]
		}, map[string]string{olderCheck: "the key was released"}},
		"the older policy admits nobody who is there": {func(t *testing.T, w *world) {
			w.run.Stale[0].Admitted = w.publishNode(t, release.Version{Minor: 9})
		}, map[string]string{olderCheck: "which the older policy admits"}},
		"the updated policy still refuses the new node": {func(t *testing.T, w *world) {
			w.policies[current] = w.without(t, current, version)
		}, map[string]string{olderCheck: "after the update", keyCheck: "policy_violation"}},
		"the older policy's deployment fails": {func(_ *testing.T, w *world) {
			w.run.Stale[0].AppCompose = []byte("{}")
		}, map[string]string{olderCheck: "app-compose"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := compatible(t)
			tc.damage(t, w)
			report := w.run.Execute(t.Context())
			got := notPassed(report.Checks.Results())
			keyless(tc.fails)
			delete(tc.fails, staleCheck)      // there is a real older policy
			maps.DeleteFunc(got, isAppraisal) // a machine without a verified quote fails there too: see TestNoQuoteToAppraise
			for name, reason := range tc.fails {
				r := got[name]
				require.Equal(t, check.Failed, r.Status, name)
				require.Contains(t, r.Reason+" "+r.Expected+" "+r.Got, reason, name)
			}
			require.Len(t, got, len(tc.fails), "%v", got)
			require.Equal(t, fault.Verification, fault.CodeOf(report.Checks.Results().Err()))
		})
	}
}
