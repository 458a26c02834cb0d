package e2e_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	appraised        = " is appraised by Intel Trust Authority as by us"
	serviceAppraisal = "mero-tee-node E2E, step 3, KMS attestation: service locked-read-only" + appraised
	staleAppraisal   = "guardrail D, measurement consistency: service locked-read-only with " + staleTitle + appraised
	nodeAppraisal    = "mero-tee-node E2E, step 2, boot verification: node locked-read-only" + appraised
	debugAppraisal   = "guardrail D, measurement consistency: node debug" + appraised
	itaKey           = "a2V5"
)

func isAppraisal(name string, _ check.Result) bool { return strings.HasSuffix(name, appraised) }

var authority = sync.OnceValues(local.NewAuthority)

// appraiser is the real client against a service that verifies the world's quotes.
func (w *world) appraiser(t *testing.T) *ita.Client {
	t.Helper()
	a, err := authority()
	require.NoError(t, err)
	w.ita = local.New(local.Options{Authority: a, APIKey: itaKey, Verifier: w.run.Verifier, Now: time.Now})
	c, err := ita.New(ita.Config{URL: ita.APIURL, Key: itaKey, Root: a.RootSHA256(),
		Transport: inProcess{w.ita}, Verifier: w.run.Verifier})
	require.NoError(t, err)
	return c
}

// The service's quote to the run, those to the nodes that visit it, and each node's.
func TestEveryQuoteIsAppraised(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := w.run.Execute(t.Context())
	require.NoError(t, report.Checks.Results().Strict().Err())
	machines, ids := map[string]int{}, map[string]bool{}
	for _, a := range report.Appraisals {
		machines[a.Machine]++
		ids[a.ID] = true
		require.Equal(t, 2, strings.Count(a.Token, "."))
	}
	require.Equal(t, map[string]int{"service locked-read-only": 3,
		"service locked-read-only with " + staleTitle: 2, "node debug": 1, "node locked-read-only": 1}, machines)
	require.Len(t, ids, 7)
}

// "A candidate shows it as skipped with the reason; a stable refuses that."
func TestWithoutAnAppraiser(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.run.Appraiser = nil
	report := w.run.Execute(t.Context())
	require.Equal(t, allChecks(), names(report.Checks.Results()))
	require.NoError(t, report.Checks.Results().Err())
	got := notPassed(report.Checks.Results())
	require.Len(t, got, 4)
	for name, r := range got {
		require.True(t, isAppraisal(name, r))
		require.Equal(t, check.Skipped, r.Status)
		require.Contains(t, r.Reason, "ITA_API_KEY is not set")
	}
	require.Equal(t, fault.Verification, fault.CodeOf(report.Checks.Results().Strict().Err()))
}

// A second opinion that differs fails its own checks and no others.
func TestTheAppraiserDisagrees(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ita.Change(func(k *local.Faults) {
		k.Claims = func(said map[string]any) { said["tdx"].(map[string]any)["attester_tcb_status"] = "OutOfDate" }
	})
	report := w.run.Execute(t.Context())
	got := notPassed(report.Checks.Results())
	require.Len(t, got, 4)
	for name, r := range got {
		require.True(t, isAppraisal(name, r))
		require.Equal(t, check.Failed, r.Status)
		require.Equal(t, "attester_tcb_status UpToDate", r.Expected)
		require.Equal(t, "attester_tcb_status OutOfDate", r.Got)
	}
	require.Empty(t, report.Appraisals)
	require.Equal(t, fault.Verification, fault.CodeOf(report.Checks.Results().Err()))
}

// The two judged by different collateral: nobody disagreed. A stable release refuses the skipped check.
func TestTheAppraiserCannotBeCompared(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.ita.Change(func(k *local.Faults) {
		k.Claims = func(said map[string]any) {
			said["tdx"].(map[string]any)["tdx_collateral"].(map[string]any)["tcbevaluationdatanumber"] = 30
		}
	})
	report := w.run.Execute(t.Context())
	require.NoError(t, report.Checks.Results().Err())
	got := notPassed(report.Checks.Results())
	require.Len(t, got, 4)
	for name, r := range got {
		require.True(t, isAppraisal(name, r))
		require.Equal(t, check.Skipped, r.Status)
		require.Equal(t, "Intel Trust Authority: the two TCB statuses cannot be compared: "+
			"the Trust Authority has evaluation number 30; "+
			"Intel's PCS has evaluation number 17 (standard), 18 (early)", r.Reason)
	}
	require.Empty(t, report.Appraisals)
	require.Error(t, report.Checks.Results().Strict().Err())
}

// "Missing counts as failed": a machine that never came up has no appraisal.
func TestNoQuoteToAppraise(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.noCapacity(release.Debug)
	w.firmware = "dev cluster"
	got := notPassed(w.run.Execute(t.Context()).Checks.Results())
	require.Equal(t, check.Failed, got[debugAppraisal].Status)
	require.Contains(t, got[debugAppraisal].Reason, "no verified quote: no capacity in the zone")
	require.Equal(t, check.Failed, got[serviceAppraisal].Status)
	require.Contains(t, got[serviceAppraisal].Reason, "registers")
	require.NotContains(t, got, nodeAppraisal)
}
