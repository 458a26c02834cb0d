package tdx_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
)

func TestParseRegister(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("0a", 48)
	r, err := tdx.ParseRegister(good)
	require.NoError(t, err)
	require.Equal(t, good, r.String())
	for name, tc := range map[string]struct{ in, want string }{
		"short":      {good[:94], "94 hex digits"},
		"long":       {good + "00", "98 hex digits"},
		"upper case": {strings.ToUpper(good), "lower case"},
		"not hex":    {"zz" + good[2:], "invalid byte"},
		"empty":      {"", "0 hex digits"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tdx.ParseRegister(tc.in)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestRegistersJSONAndCompare(t *testing.T) {
	t.Parallel()
	var a tdx.Registers
	a.RTMR2[0] = 1
	b, err := json.Marshal(a)
	require.NoError(t, err)
	var back tdx.Registers
	require.NoError(t, json.Unmarshal(b, &back))
	require.Equal(t, a, back)
	back.MRTD[0], back.RTMR3[47] = 9, 9
	diffs := a.Compare(back)
	require.Len(t, diffs, 2, "one difference never hides another")
	require.Equal(t, "mrtd", diffs[0].Name)
	require.Equal(t, "rtmr3", diffs[1].Name)
}

// The first eight bytes of each value were computed independently on 2026-11-23 with sha384sum and xxd.
func TestProfileRTMR3(t *testing.T) {
	t.Parallel()
	for profile, prefix := range map[string]string{
		"debug": "dfd43c09e6ca6228", "debug-read-only": "7834fef07527d428", "locked-read-only": "0dbbf38e4b6248ab",
	} {
		require.True(t, strings.HasPrefix(tdx.ProfileRTMR3(profile).String(), prefix), profile)
	}
}
