package propose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
)

func TestWhatARevocationStops(t *testing.T) {
	t.Parallel()
	w := promoted(t)
	before, tag := w.main(), node(t, "1.2.0")
	registers := before[release.Debug].Measurements[0].Registers
	kms := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}
	policy := func(of release.Tag) *policies.Policy {
		return &policies.Policy{Measurements: []policies.Measurement{{NodeRelease: of, Registers: registers}}}
	}
	again := node(t, "1.2.0-rc.1") // the same registers, as a candidate had them
	none := &catalog.Catalog{}
	listed := &catalog.Catalog{Entries: []catalog.Entry{{KMS: kms.Version, NodeImage: tag.Version, Tested: true,
		Profiles: []release.Profile{release.Debug}}, {KMS: kms.Version, NodeImage: release.Version{Major: 9}}}}
	for name, tc := range map[string]struct {
		target   propose.Target
		released propose.Released
		pairs    *catalog.Catalog
		says     []string
		not      string
	}{
		"nobody admits it": {propose.Target{Tag: tag}, nil, none,
			[]string{"stops nodes of mero-tee-v1.2.0: debug, debug-read-only, locked-read-only",
				"none of 0 released key services admits them", "to do: merge this: no later policy will admit them"}, "catalog"},
		"a released service admits it": {propose.Target{Tag: tag},
			propose.Released{kms: {release.Debug: policy(tag)}}, listed,
			[]string{"mero-kms-v1.0.0 was released before and still admits them: debug",
				"the catalog lists kms 1.0.0 with node image 1.2.0 (tested: debug)", "release a key service with the new policies"},
			"9.0.0"},
		"a released service admits it under another name": {propose.Target{Tag: tag},
			propose.Released{kms: {release.Debug: policy(again)}}, none,
			[]string{"stops nodes of mero-tee-v1.2.0-rc.1: debug", "mero-kms-v1.0.0 was released before"}, "catalog"},
		"one register of it": {propose.Target{Prefix: registers.RTMR2.String()[:12]},
			propose.Released{kms: {release.LockedReadOnly: policy(tag)}}, none,
			[]string{"stops nodes of mero-tee-v1.2.0: debug"}, "debug-read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, err := propose.Revoke(before, tc.target, "CVE-2026-0001", day)
			require.NoError(t, err)
			text := tc.target.Effects(before, p.After, tc.released, tc.pairs).Markdown()
			for _, line := range tc.says {
				require.Contains(t, text, line)
			}
			require.NotContains(t, text, tc.not)
		})
	}
}
