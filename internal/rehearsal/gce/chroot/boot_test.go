package chroot_test

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
)

func TestBootRefuses(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	disk := newDisk(t, nil)
	plain, err := chroot.Open(t.Context(), chroot.Options{Dir: filepath.Join(t.TempDir(), "hosts")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, plain.Close()) })
	for name, tc := range map[string]struct {
		host *chroot.Host
		spec chroot.Spec
		want string
	}{
		"a name":   {h, chroot.Spec{Name: "../x", Disk: disk}, "no name of an instance"},
		"a login":  {h, chroot.Spec{Name: "x", Disk: disk, Users: map[string]string{"-r": ""}}, "no login"},
		"no disk":  {h, chroot.Spec{Name: "x", Disk: disk + "/none"}, "no such file"},
		"a device": {h, chroot.Spec{Name: "x", Disk: disk, Devices: map[string]string{"../x": disk}}, "no name of a device"},
		"no TDX":   {plain, chroot.Spec{Name: "x", Disk: disk, Confidential: true}, "no TDX"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := tc.host.Boot(t.Context(), tc.spec)
			require.ErrorContains(t, err, tc.want)
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = h.Boot(ctx, chroot.Spec{Name: "x", Disk: disk})
	require.ErrorIs(t, err, context.Canceled)
}
