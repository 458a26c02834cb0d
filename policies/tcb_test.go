package policies_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func TestTCBWaivers(t *testing.T) {
	t.Parallel()
	outOfDate := policies.Waiver{Status: "OutOfDate", Reason: "the fleet is updated until June, ticket 7"}
	for name, tc := range map[string]struct {
		list    []string
		waivers []policies.Waiver
		want    string
	}{
		"waived":     {[]string{"UpToDate", "OutOfDate"}, []policies.Waiver{outOfDate}, ""},
		"not waived": {[]string{"UpToDate", "OutOfDate"}, nil, "OutOfDate without a waiver"},
		"other waived": {[]string{"OutOfDate", "OutOfDateConfigurationNeeded"}, []policies.Waiver{outOfDate},
			"OutOfDateConfigurationNeeded without a waiver"},
		"no reason":      {[]string{"OutOfDate"}, []policies.Waiver{{Status: "OutOfDate", Reason: " \t"}}, "gives no reason"},
		"twice":          {[]string{"OutOfDate"}, []policies.Waiver{outOfDate, outOfDate}, "waives a status twice"},
		"waives nothing": {[]string{"UpToDate"}, []policies.Waiver{outOfDate}, "not allowed anyway"},
		"waives good":    {[]string{"UpToDate"}, []policies.Waiver{{Status: "UpToDate", Reason: "r"}}, "not allowed anyway"},
		"revoked": {[]string{"UpToDate", "Revoked"}, []policies.Waiver{{Status: "Revoked", Reason: "r"}},
			"never allowed"},
		"unknown": {[]string{"Fine"}, nil, "never allowed"},
		"empty":   {[]string{}, nil, "is empty"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, p := working(t, release.Debug), ready(t, release.Debug)
			w.AllowedTCBStatus, w.TCBWaivers, p.AllowedTCBStatus, p.TCBWaivers = tc.list, tc.waivers, tc.list, tc.waivers
			for _, err := range []error{w.Check(), p.Check()} {
				if tc.want == "" {
					require.NoError(t, err)
					continue
				}
				require.ErrorContains(t, err, tc.want)
				require.Equal(t, fault.Verification, fault.CodeOf(err))
			}
		})
	}
}

func TestAWaiverTravelsWithTheReleasedPolicy(t *testing.T) {
	t.Parallel()
	ev := evidence(t, "1.2.0", 2)
	w := working(t, release.Debug, ev)
	w.AllowedTCBStatus, w.TCBWaivers = []string{"OutOfDate"}, []policies.Waiver{{Status: "OutOfDate", Reason: "r"}}
	p, err := policies.Generate(w, version(t, "1.2.0"), ev)
	require.NoError(t, err)
	b, err := p.Encode()
	require.NoError(t, err)
	require.Contains(t, string(b), `"tcb_waivers"`)
}
