package ita_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

func collateralClaim(name string, value any) func(*local.Faults) {
	return func(k *local.Faults) {
		k.Claims = func(said map[string]any) {
			said["tdx"].(map[string]any)["tdx_collateral"].(map[string]any)[name] = value
		}
	}
}

// A host in each state in which a TCB recovery leaves it: our verdict is of the
// standard update, the service's of the early one.
func TestHostsThroughARecovery(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		recovery func(standard, early *tdxsim.Set)
		ours     tdx.Status
		refusal  string
	}{
		"up to date in both":  {func(_, _ *tdxsim.Set) {}, tdx.UpToDate, ""},
		"one number for both": {func(s, e *tdxsim.Set) { *e = *s }, tdx.UpToDate, ""},
		"out of date, early":  {func(_, e *tdxsim.Set) { e.Platform = tdx.OutOfDate }, tdx.UpToDate, ""},
		"out of date in both": {func(s, e *tdxsim.Set) { s.Platform, e.Platform = tdx.OutOfDate, tdx.OutOfDate },
			tdx.OutOfDate, ""},
		"module out of date in both": {func(s, e *tdxsim.Set) { s.Module, e.Module = tdx.OutOfDate, tdx.OutOfDate },
			tdx.OutOfDate, ""},
		"revoked, early":         {func(_, e *tdxsim.Set) { e.Platform = tdx.Revoked }, tdx.UpToDate, "refuses the quote"},
		"without a level, early": {func(_, e *tdxsim.Set) { e.NoLevel = "platform" }, tdx.UpToDate, "refuses the quote"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newRecovered(t, tc.recovery)
			require.Equal(t, tc.ours, w.ours.TCB)
			_, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
			if tc.refusal == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			require.ErrorContains(t, err, tc.refusal)
		})
	}
}

// newRecovered is a world whose host's family went through a TCB recovery.
func newRecovered(t testing.TB, change func(standard, early *tdxsim.Set)) *world {
	t.Helper()
	w := newWorld(t, 4)
	w.pcs.Recover(w.platform, func(f *tdxsim.Family) { change(&f.Standard, &f.Early) })
	w.forget(t)
	w.quote, w.ours = w.attest(t, tdx.Register{1}, 4)
	return w
}

// At one number the statuses must be equal.
func TestStatusesAreComparedAtOneNumber(t *testing.T) {
	t.Parallel()
	for name, behind := range map[string]bool{"17, standard": true, "18, early": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			w.service.Change(tdxClaim("attester_tcb_status", "OutOfDate"))
			w.service.Change(func(k *local.Faults) { k.Behind = behind })
			_, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			require.ErrorContains(t, err, "both at evaluation number "+name[:2])
		})
	}
}

// At different numbers nothing follows, neither from a difference nor from equal statuses.
func TestStatusesOfDifferentNumbersAreNotCompared(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		number any
		change func(*tdxsim.Faults)
		wanted string
		got    string
	}{
		"a number that Intel's PCS does not have": {20, nil, "evaluation number 20",
			"evaluation number 17 (standard), 18 (early)"},
		"digits in a string": {"20", nil, "evaluation number 20", "evaluation number 17 (standard), 18 (early)"},
		"no number":          {0, nil, "evaluation number none", "evaluation number 17 (standard), 18 (early)"},
		"early collateral is out of reach": {18, func(f *tdxsim.Faults) { f.Unavailable = true }, "evaluation number 18",
			"evaluation number 17 (standard); early: quote is undecided"},
		"no level in the early collateral": {18, func(f *tdxsim.Faults) { f.Early.NoLevel = "enclave" },
			"evaluation number 18", "evaluation number 17 (standard); early: the TCB cannot be judged"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, 4)
			w.service.Change(func(k *local.Faults) { k.Behind = true }) // it has its collateral; only its word is changed
			w.service.Change(collateralClaim("tcbevaluationdatanumber", tc.number))
			if tc.change != nil {
				w.pcs.Change(tc.change)
			}
			appraisal, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
			require.Nil(t, appraisal)
			require.ErrorIs(t, err, ita.ErrIncomparable)
			require.Equal(t, fault.General, fault.CodeOf(err), "could not look, which is never bad")
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, tc.wanted, f.Expected)
			require.Contains(t, f.Got, tc.got)
		})
	}
}

// What is revoked by either word is not shrugged off because of the numbers.
func TestRevokedIsNeverIncomparable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 4)
	w.service.Change(func(k *local.Faults) { k.Claims = func(said map[string]any) { revoke(said) } })
	_, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "the platform is revoked")

	w = newWorld(t, 4)
	w.pcs.Change(func(f *tdxsim.Faults) { f.Early.Platform = tdx.Revoked })
	w.service.Change(func(k *local.Faults) { k.Behind = true })
	w.service.Change(collateralClaim("tcbevaluationdatanumber", 18))
	_, err = w.client(t).Appraise(t.Context(), w.quote, w.ours)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "tcb_status is Revoked")
}

func revoke(said map[string]any) {
	appraisal := said["tdx"].(map[string]any)
	appraisal["attester_tcb_status"] = "Revoked"
	appraisal["tdx_collateral"].(map[string]any)["tcbevaluationdatanumber"] = 99
}

func TestAnEvaluationNumberThatIsNone(t *testing.T) {
	t.Parallel()
	for _, bad := range []any{"many", -1, 1.5} {
		w := newWorld(t, 4)
		w.service.Change(collateralClaim("tcbevaluationdatanumber", bad))
		_, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
		require.Equal(t, fault.Verification, fault.CodeOf(err), bad)
	}
}
