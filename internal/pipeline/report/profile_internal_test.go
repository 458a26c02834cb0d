package report

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Each register of a key service says what moved it, and no other's cause.
func TestWhatMovedAKeyService(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*measurement.Profile)
		want   map[string]string
	}{
		"nothing": {func(*measurement.Profile) {}, nil},
		"compose": {func(p *measurement.Profile) { p.Image.ComposeHash = digest.Of([]byte("x")) },
			map[string]string{"RTMR3": "event compose-hash: "}},
		"OS image": {func(p *measurement.Profile) {
			p.Image.OSImage, p.Image.OSImageHash, p.RTMR2 = "dstack-0.5.10", digest.Of([]byte("y")), tdx.Register{9}
		}, map[string]string{"RTMR2": "the OS image is dstack-0.5.10, was dstack-0.5.9", "RTMR3": "event os-image-hash: "}},
		"other registers of the same": {func(p *measurement.Profile) { p.MRTD = tdx.Register{9} },
			map[string]string{"MRTD": "the same OS image dstack-0.5.9 was observed with other registers"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := measurement.Profile{MRTD: tdx.Register{1}, RTMR0: tdx.Register{2}, RTMR1: tdx.Register{3},
				RTMR2: tdx.Register{4}, Owners: measurement.OwnersOf(release.KMS),
				Image: measurement.Image{Name: "ghcr.io/o/kms:1", OSImage: "dstack-0.5.9",
					OSImageHash: digest.Of([]byte("os")), ComposeHash: digest.Of([]byte("compose"))}}
			after := before
			tc.change(&after)
			was, is := service(before), service(after)
			profile, err := is.profile(release.Debug)
			require.NoError(t, err)
			is.compare(&profile, was)
			for _, register := range profile.Registers {
				cause, moved := tc.want[register.Name]
				if !moved {
					require.Empty(t, register.Moved, register.Name)
					require.Empty(t, register.Was, register.Name)
					continue
				}
				require.Len(t, register.Moved, 1, register.Name)
				require.True(t, strings.HasPrefix(register.Moved[0], cause), register.Moved[0])
				require.Equal(t, register.Name != "RTMR3", register.Was != "", "RTMR3 is each machine's own")
			}
		})
	}
}

func service(p measurement.Profile) *readings {
	return &readings{published: &measurement.Published{Family: release.KMS,
		Profiles: map[release.Profile]measurement.Profile{release.Debug: p}}}
}
