package audit_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/policies"
)

// A release stays what it is when somebody revokes what it admits; it is only no
// longer to be used.
func TestARevokedMeasurementThatAPolicyAdmits(t *testing.T) {
	t.Parallel()
	dir := released(t)
	revocation := func(p release.Profile) policies.Revocation {
		return policies.Revocation{NodeRelease: node, Registers: registersOf(p), Reason: "CVE-2026-0001",
			RevokedOn: "2026-11-20"}
	}
	byHand := revocation(release.Debug)
	byHand.NodeRelease, byHand.RevokedOn = release.Tag{}, ""
	another := revocation(release.Debug)
	another.MRTD[0] ^= 1
	for name, tc := range map[string]struct {
		revoked map[release.Profile][]policies.Revocation
		err     error
		failed  []string
		says    string
		code    fault.Code
	}{
		"nothing": {nil, nil, nil, "", fault.Success},
		"another measurement": {map[release.Profile][]policies.Revocation{release.Debug: {another}}, nil, nil, "",
			fault.Success},
		"the same registers in another profile": {map[release.Profile][]policies.Revocation{
			release.LockedReadOnly: {revocation(release.Debug)}}, nil, nil, "", fault.Success},
		"the measurement of a profile": {map[release.Profile][]policies.Revocation{
			release.Debug: {revocation(release.Debug)}}, nil, []string{"policies admit no revoked measurement (debug)"},
			"the release is what was built, but its policy admits a measurement of " + node.String() +
				" that was revoked on 2026-11-20: CVE-2026-0001", fault.Verification},
		"those of two profiles": {map[release.Profile][]policies.Revocation{
			release.Debug:          {another, revocation(release.Debug)},
			release.LockedReadOnly: {revocation(release.LockedReadOnly)}}, nil,
			[]string{"policies admit no revoked measurement (debug)",
				"policies admit no revoked measurement (locked-read-only)"},
			"revoked on 2026-11-20", fault.Verification},
		"one that was revoked by hand": {map[release.Profile][]policies.Revocation{release.Debug: {byHand}}, nil,
			[]string{"policies admit no revoked measurement (debug)"},
			"its policy admits a measurement that was revoked: CVE-2026-0001", fault.Verification},
		"an answer that did not come": {nil, errors.New("connection refused"),
			[]string{"policies admit no revoked measurement"}, "connection refused", fault.General},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, dir, audit.Subject{Tag: stable, Revoked: func(context.Context) (
				map[release.Profile][]policies.Revocation, error) {
				return tc.revoked, tc.err
			}})
			require.Equal(t, tc.failed, failed(report.Results))
			require.Equal(t, tc.code, fault.CodeOf(report.Results.Err()))
			if tc.says != "" {
				require.ErrorContains(t, report.Results.Err(), tc.says)
			}
		})
	}
}

// Who judges a folder is told, also of a stable release, that nobody was asked.
func TestWhoWasNotAskedWhatIsRevoked(t *testing.T) {
	t.Parallel()
	report := judge(t, released(t), audit.Subject{Tag: stable, Revoked: func(context.Context) (
		map[release.Profile][]policies.Revocation, error) {
		return nil, fmt.Errorf("%w: offline", policies.ErrNotAsked)
	}})
	require.NoError(t, report.Results.Err())
	require.Contains(t, report.Results, check.NotApplicable("policies admit no revoked measurement",
		"nobody was asked: offline"))
	for _, r := range judge(t, released(t), audit.Subject{Tag: stable}).Results {
		require.False(t, strings.Contains(r.Name, "revoked"), "nothing is claimed where nothing was asked")
	}
}

// What was promoted without E2E is seen by a stranger, too.
func TestAPromotionWithoutE2EIsSeen(t *testing.T) {
	t.Parallel()
	change := inPolicy(release.Debug, "0001\",\n      \"mrtd\"",
		"0001\",\n      \"without_e2e\": \"no TDX before Friday\",\n      \"mrtd\"")
	report := judge(t, made(t, stable, change), audit.Subject{Tag: stable})
	require.Contains(t, report.Results,
		check.Pass("policy of debug").Noting("admits "+node.String()+" without E2E: no TDX before Friday"))
}
