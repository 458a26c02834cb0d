package inprocess_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
	"github.com/calimero-network/mero-tee/internal/release"
)

func platform(t *testing.T) *tdxsim.Platform {
	t.Helper()
	pki, err := tdxsim.NewPKI([]byte("inprocess"))
	require.NoError(t, err)
	p, err := pki.NewPlatform(1)
	require.NoError(t, err)
	return p
}

// Record, boot and log of a simulated image agree, and differ by profile and release.
func TestASimulatedImageIsItsDisk(t *testing.T) {
	t.Parallel()
	one := release.Version{Major: 1}
	seen := map[tdx.Register]bool{}
	for _, i := range []inprocess.Image{{Profile: release.Debug, Version: one},
		{Profile: release.LockedReadOnly, Version: one}, {Profile: release.Debug, Version: release.Version{Major: 2}}} {
		r := i.Record("")
		require.NoError(t, r.Check())
		data, err := r.Encode()
		require.NoError(t, err)
		again, err := image.Decode(data)
		require.NoError(t, err)
		require.Equal(t, r, again)
		m, err := i.Boot(platform(t))
		require.NoError(t, err)
		events, err := tdx.ParseCCEL(m.Log.CCEL())
		require.NoError(t, err)
		require.NoError(t, r.Boot.Judge(events))
		rtmr1, rtmr2 := r.Boot.Registers()
		require.Equal(t, []tdx.Register{rtmr1, rtmr2}, []tdx.Register{m.TD.Registers().RTMR1, m.TD.Registers().RTMR2})
		require.False(t, seen[rtmr1] || seen[rtmr2])
		seen[rtmr1], seen[rtmr2] = true, true

		r.Boot.RTMR1[0].Words = "spoilt"
		require.NotEqual(t, "spoilt", i.Record("").Boot.RTMR1[0].Words, "each record is its own")
	}
}

// said is a serial port.
type said struct{ strings.Builder }

// A disk of which a byte was changed does not boot; a disk of another size is none of ours.
func TestWhatIsASimulatedDisk(t *testing.T) {
	t.Parallel()
	state := t.TempDir()
	s, err := inprocess.Open(state, &inprocess.Host{Platform: platform(t)}, gce.Faults{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	i := inprocess.Image{Profile: release.Debug}
	require.NoError(t, s.Import(i))
	disk := filepath.Join(state, "images", inprocess.Project, i.Name()+".raw")
	require.True(t, inprocess.Simulated(disk))

	data, err := os.ReadFile(disk)
	require.NoError(t, err)
	at := strings.Index(string(data), `"Profile"`)
	require.Positive(t, at)
	data[at+2] ^= 1
	spoilt := filepath.Join(t.TempDir(), "disk.raw")
	require.NoError(t, os.WriteFile(spoilt, data, 0o600))
	require.False(t, inprocess.Simulated(spoilt))
	require.False(t, inprocess.Simulated(filepath.Dir(disk)))
	require.False(t, inprocess.Simulated(disk+"-"))
	host := &inprocess.Host{Platform: platform(t)}
	var serial said
	m, err := host.Boot(context.Background(), gce.Spec{Disk: spoilt, Confidential: true, Serial: &serial})
	require.NoError(t, err, "the machine is there")
	require.Contains(t, serial.String(), "Kernel panic - not syncing: ")
	require.NoError(t, m.Stop())
	require.NoError(t, os.Truncate(spoilt, 1<<30))
	require.False(t, inprocess.Simulated(spoilt))
}
