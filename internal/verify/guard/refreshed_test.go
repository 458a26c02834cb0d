package guard_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
	"github.com/calimero-network/mero-tee/policies"
)

func TestARefreshedTupleIsOfThePublishedImage(t *testing.T) {
	t.Parallel()
	tag := release.Tag{Family: release.Node, Version: release.Version{Major: 1}}
	ev := policies.Evidence{Tag: tag, Digest: "sha256:a", Registers: map[release.Profile]tdx.Registers{}}
	working := map[release.Profile]*policies.Working{}
	for i, p := range release.Profiles() {
		r := tdx.Registers{MRTD: tdx.Register{1}, RTMR1: tdx.Register{2}, RTMR2: tdx.Register{byte(3 + i)}}
		ev.Registers[p] = r
		seen := r
		seen.MRTD = tdx.Register{9}
		working[p] = &policies.Working{Profile: p, Measurements: []policies.Measurement{{NodeRelease: tag, Evidence: "sha256:a", Registers: r},
			{NodeRelease: tag, Evidence: "sha256:b", FirstSeen: "2026-05-01", Registers: seen}}}
	}
	kms := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}
	require.Equal(t, check.Passed, guard.WorkingReferences(kms, working, ev).Status)
	working[release.Debug].Measurements[1].RTMR2[5] = 1
	r := guard.WorkingReferences(kms, working, ev)
	require.Equal(t, check.Failed, r.Status)
	require.Contains(t, r.Reason, "another image")
}
