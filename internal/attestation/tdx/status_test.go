package tdx_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

func TestParseStatus(t *testing.T) {
	t.Parallel()
	for _, s := range tdx.Statuses() {
		got, err := tdx.ParseStatus(string(s))
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	for _, bad := range []string{"", "uptodate", "UpToDate ", "OK"} {
		_, err := tdx.ParseStatus(bad)
		require.ErrorContains(t, err, "is not a TCB status")
	}
	var s tdx.Status
	require.Error(t, json.Unmarshal([]byte(`"outofdate"`), &s))
	require.NoError(t, json.Unmarshal([]byte(`"OutOfDate"`), &s))
	require.Equal(t, tdx.OutOfDate, s)
}

// The convergence of Intel's quote verification library, and its extension to
// statuses that modules and enclaves do not have today.
func TestMerge(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ a, b, want tdx.Status }{
		{tdx.UpToDate, "", tdx.UpToDate},
		{tdx.UpToDate, tdx.UpToDate, tdx.UpToDate},
		{tdx.UpToDate, tdx.OutOfDate, tdx.OutOfDate},
		{tdx.SWHardeningNeeded, tdx.OutOfDate, tdx.OutOfDate},
		{tdx.ConfigurationNeeded, tdx.OutOfDate, tdx.OutOfDateConfigurationNeeded},
		{tdx.ConfigurationAndSWHardeningNeeded, tdx.OutOfDate, tdx.OutOfDateConfigurationNeeded},
		{tdx.OutOfDateConfigurationNeeded, tdx.OutOfDate, tdx.OutOfDateConfigurationNeeded},
		{tdx.SWHardeningNeeded, tdx.ConfigurationNeeded, tdx.ConfigurationAndSWHardeningNeeded},
		{tdx.OutOfDateConfigurationNeeded, tdx.Revoked, tdx.Revoked},
		{tdx.UpToDate, "Unheard", "Unheard"},
	} {
		require.Equal(t, tc.want, tc.a.Merge(tc.b), "%s and %s", tc.a, tc.b)
		require.Equal(t, tc.want, tc.b.Merge(tc.a), "%s and %s", tc.b, tc.a)
	}
	all := tdx.Statuses()
	for i := 1; i < len(all); i++ {
		require.Negative(t, all[i-1].Compare(all[i]))
		require.GreaterOrEqual(t, all[i].Merge(all[i-1]).Compare(all[i]), 0, "merging never improves")
	}
	require.Positive(t, tdx.Status("Unheard").Compare(tdx.Revoked))
}
