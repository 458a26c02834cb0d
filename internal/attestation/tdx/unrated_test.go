package tdx_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// A TCB recovery took away every level that the part reaches: the quote is as
// genuine as it was, and nobody can say what its platform is worth.
func TestAPlatformWithoutATCBLevelIsNotCalledForged(t *testing.T) {
	t.Parallel()
	for part, words := range map[string]string{"platform": "this platform", "module": "this TDX module",
		"enclave": "this quoting enclave"} {
		t.Run(part, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.pcs.Change(func(k *tdxsim.Faults) { k.NoLevel, k.EvaluationNumber = part, 20 })
			got, err := w.verifier(t).Verify(t.Context(), w.quote(t, 4), w.reportData)
			require.Nil(t, got)
			var unrated *tdx.Unrated
			require.ErrorAs(t, err, &unrated)
			require.Equal(t, w.platform.FMSPC(), unrated.FMSPC)
			require.Equal(t, 20, unrated.EvaluationNumber)
			require.ErrorContains(t, err, words)
			require.ErrorContains(t, err, "cannot be judged")
			require.NotContains(t, err.Error(), "genuine")
		})
	}
}

// A missing level excuses nothing else.
func TestAMissingLevelHidesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Change(func(k *tdxsim.Faults) { k.NoLevel = "platform" })
	v := w.verifier(t)
	other := w.reportData
	other[0] ^= 1
	_, err := v.Verify(t.Context(), w.quote(t, 4), other)
	require.ErrorIs(t, err, tdx.ErrReportData)

	forged := w.quote(t, 4)
	forged[200] ^= 1
	_, err = v.Verify(t.Context(), forged, w.reportData)
	requireNotGenuine(t, err, "")

	w.td = w.boot(t, tdxsim.Debug)
	_, err = v.Verify(t.Context(), w.quote(t, 4), w.reportData)
	var never *tdx.Violation
	require.ErrorAs(t, err, &never)
	require.Equal(t, "td_attributes.debug", never.Field)
}

// Each update has its own number and statuses; the lists of revoked certificates have none.
func TestUpdatesAreJudgedApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.pcs.Change(func(k *tdxsim.Faults) { k.Early.Platform = tdx.OutOfDate })
	standard := w.verifier(t)
	for _, tc := range []struct {
		verifier *tdx.Verifier
		number   int
		status   tdx.Status
	}{
		{standard, 17, tdx.UpToDate},
		{standard.At(tdx.Early), 18, tdx.OutOfDate},
		{standard.At(tdx.Early).At(tdx.Standard), 17, tdx.UpToDate},
	} {
		got, err := tc.verifier.Verify(t.Context(), w.quote(t, 5), w.reportData)
		require.NoError(t, err)
		require.Equal(t, tc.number, got.EvaluationNumber)
		require.Equal(t, tc.status, got.TCB)
	}
}
