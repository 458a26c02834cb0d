package steps

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/release"
)

func named(t *testing.T, name string) release.Tag {
	t.Helper()
	tag, err := release.ParseTag(name)
	require.NoError(t, err)
	return tag
}

// A hotfix is compared with what it patches, a stable release with the last one that is no pre-release, and a
// candidate with whatever was public before it.
func TestWhatAReleaseIsComparedWith(t *testing.T) {
	t.Parallel()
	stable := []release.Tag{named(t, "mero-kms-v1.0.0"), named(t, "mero-kms-v1.1.0"), named(t, "mero-tee-v9.0.0")}
	public := append([]release.Tag{named(t, "mero-kms-v1.1.1"), named(t, "mero-kms-v1.2.0-rc.1"), // 1.1.1 failed
		named(t, "mero-kms-v1.2.0")}, stable...)
	for tag, want := range map[string]string{"mero-kms-v1.2.0": "mero-kms-v1.1.0",
		"mero-kms-v1.2.0-rc.2": "mero-kms-v1.2.0-rc.1",
		"mero-kms-v1.2.0-rc.1": "mero-kms-v1.1.1", "mero-kms-v1.0.5": "mero-kms-v1.0.0"} {
		p := &plan.Plan{Subject: plan.Subject{Tag: named(t, tag), Stable: stable}}
		require.Equal(t, want, previous(p, public).String(), tag)
	}
	hotfix := &plan.Plan{Subject: plan.Subject{Tag: named(t, "mero-kms-v1.1.2"), Stable: stable},
		Decision: plan.Decision{Class: release.Hotfix, Patched: named(t, "mero-kms-v1.1.0")}}
	require.Equal(t, "mero-kms-v1.1.0", previous(hotfix, public).String(), "not the number that failed")
	require.Nil(t, previous(&plan.Plan{Subject: plan.Subject{Tag: named(t, "mero-kms-v1.0.0"), Stable: stable}}, public))
}

// "Compatible counterpart versions": all that the catalog has, tested or declared.
func TestCompatible(t *testing.T) {
	t.Parallel()
	version := func(minor int) release.Version { return release.Version{Major: 1, Minor: minor} }
	c := &catalog.Catalog{Entries: []catalog.Entry{
		{KMS: version(2), NodeImage: version(2), Profiles: release.Profiles()},
		{KMS: version(2), NodeImage: version(1), Profiles: []release.Profile{release.Debug}, Tested: true},
		{KMS: version(1), NodeImage: version(1), Profiles: release.Profiles(), Tested: true}}}
	all := []string{"debug", "debug-read-only", "locked-read-only"}
	for tag, want := range map[string][]notes.Counterpart{
		"mero-kms-v1.2.0": {{Tag: named(t, "mero-tee-v1.2.0"), Profiles: all},
			{Tag: named(t, "mero-tee-v1.1.0"), Profiles: all[:1], Tested: true}},
		"mero-kms-v1.2.0-rc.3": {{Tag: named(t, "mero-tee-v1.2.0"), Profiles: all},
			{Tag: named(t, "mero-tee-v1.1.0"), Profiles: all[:1], Tested: true}},
		"mero-tee-v1.1.0": {{Tag: named(t, "mero-kms-v1.2.0"), Profiles: all[:1], Tested: true},
			{Tag: named(t, "mero-kms-v1.1.0"), Profiles: all, Tested: true}},
		"mero-kms-v1.3.0": nil,
	} {
		require.Equal(t, want, counterpartsIn(c, named(t, tag)), tag)
	}
}

// The registers of a key service move by its compose file, by the OS image, or by that image's entry.
func TestCausesOfAKeyService(t *testing.T) {
	t.Parallel()
	with := func(of func(p *measurement.Profile)) *measurement.Published {
		p := measurement.Profile{MRTD: tdx.Register{1}, Image: measurement.Image{OSImage: "dstack-0.5.9",
			OSImageHash: digest.Of([]byte("os")), ComposeHash: digest.Of([]byte("compose"))}}
		if of != nil {
			of(&p)
		}
		return &measurement.Published{Profiles: map[release.Profile]measurement.Profile{release.Debug: p}}
	}
	require.Empty(t, serviceCauses(with(nil), with(nil)))
	for name, tc := range map[string]struct {
		of   func(p *measurement.Profile)
		want []string
	}{
		"compose": {func(p *measurement.Profile) { p.Image.ComposeHash = digest.Of([]byte("x")) },
			[]string{"RTMR3: event compose-hash: "}},
		"OS image": {func(p *measurement.Profile) {
			p.Image.OSImage, p.Image.OSImageHash = "dstack-0.5.10", digest.Of([]byte("y"))
		}, []string{"MRTD to RTMR2: the OS image is dstack-0.5.10, was dstack-0.5.9", "RTMR3: event os-image-hash: "}},
		"entry": {func(p *measurement.Profile) { p.MRTD[0] = 2 },
			[]string{"MRTD to RTMR2: the same OS image dstack-0.5.9 was observed with other registers"}},
	} {
		got := serviceCauses(with(nil), with(tc.of))
		require.Len(t, got, len(tc.want), name)
		for i, cause := range got {
			require.Equal(t, "debug", cause.Profile)
			require.Contains(t, cause.Register+": "+cause.Event, tc.want[i])
		}
	}
}
