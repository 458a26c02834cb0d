package policies_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func published(t *testing.T, file string) *measurement.Published {
	t.Helper()
	data, err := os.ReadFile("../internal/attestation/measurement/testdata/" + file)
	require.NoError(t, err)
	p, err := measurement.Decode(data)
	require.NoError(t, err)
	return p
}

func TestCheckStable(t *testing.T) {
	t.Parallel()
	require.NoError(t, policies.CheckStable(published(t, "node.json")))
	require.ErrorContains(t, policies.CheckStable(published(t, "kms.json")), "another family")
	for name, tc := range map[string]struct {
		change func(*measurement.Profile)
		want   string
	}{
		"one boot": {func(p *measurement.Profile) { p.Evidence.Boots = 1 },
			"the locked-read-only measurement of mero-tee-v1.2.0 is not stable"},
		"other formula": {func(p *measurement.Profile) { r := tdx.ProfileRTMR3("debug"); p.RTMR3 = &r },
			"says what cannot be"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := published(t, "node.json")
			m := p.Profiles[release.LockedReadOnly]
			tc.change(&m)
			p.Profiles[release.LockedReadOnly] = m
			err := policies.CheckStable(p)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

func TestCheckWorkingSet(t *testing.T) {
	t.Parallel()
	set := func() map[release.Profile]*policies.Working {
		out := map[release.Profile]*policies.Working{}
		for _, p := range release.Profiles() {
			out[p] = working(t, p, evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2))
		}
		return out
	}
	require.NoError(t, policies.CheckWorkingSet(set()))
	for name, tc := range map[string]struct {
		change func(map[release.Profile]*policies.Working)
		want   string
	}{
		"missing": {func(s map[release.Profile]*policies.Working) { delete(s, release.Debug) }, "working policy is missing"},
		"rtmr2": {func(s map[release.Profile]*policies.Working) {
			s[release.Debug].Measurements[0].RTMR2 = s[release.LockedReadOnly].Measurements[1].RTMR2
		}, "rtmr2 is allowed in two profiles"},
		"rtmr3": {func(s map[release.Profile]*policies.Working) {
			s[release.Debug].Measurements[0].RTMR3 = tdx.ProfileRTMR3("locked-read-only")
		}, "debug.json: rtmr3 of mero-tee-v1.1.0 is not that of profile debug"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set()
			tc.change(s)
			err := policies.CheckWorkingSet(s)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}
