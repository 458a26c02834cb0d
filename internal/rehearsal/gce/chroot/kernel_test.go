package chroot_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
)

// rooted is a root file system that has just these files.
func rooted(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, root.Close()) })
	return root
}

const guestModule = "/kernel/drivers/virt/coco/tdx-guest/tdx-guest.ko.zst"

// The image's own kernel decides whether there are RTMRs, although it never runs here.
func TestKernelsThatShowNoRegisters(t *testing.T) {
	t.Parallel()
	const load = "etc/modules-load.d/mero.conf"
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"Ubuntu 26.04's": {map[string]string{"usr/lib/modules/7.0.0-1012-gcp" + guestModule: "",
			load: "# why\ntdx_guest\n"}, ""},
		"the first": {map[string]string{"lib/modules/6.16.0" + guestModule: "", load: "tdx_guest"}, ""},
		"Ubuntu 24.04's": {map[string]string{"usr/lib/modules/6.8.0-1012-gcp" + guestModule: "", load: "tdx_guest"},
			"kernel 6.8.0-1012-gcp has no RTMRs in sysfs, which Linux 6.16 was the first to have"},
		"the newest of two": {map[string]string{"usr/lib/modules/6.8.0-1012-gcp" + guestModule: "",
			"usr/lib/modules/6.17.0-1003-gcp" + guestModule: "", load: "tdx_guest"}, ""},
		"no kernel": {map[string]string{load: "tdx_guest"}, "no kernel is installed in /lib/modules"},
		"no version": {map[string]string{"usr/lib/modules/linux" + guestModule: "", load: "tdx_guest"},
			"kernel linux has no RTMRs"},
		"without the module": {map[string]string{"usr/lib/modules/7.0.0/modules.dep": "", load: "tdx_guest"},
			"kernel 7.0.0 is without the module tdx_guest"},
		"a module that nothing loads": {map[string]string{"usr/lib/modules/7.0.0" + guestModule: "", load: "# tdx_guest\n"},
			"no file in /etc/modules-load.d names tdx_guest"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := chroot.ShowsRegisters(rooted(t, tc.files))
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// On a disk with the kernel of Ubuntu 24.04 the profile cannot be measured: its
// service fails, and what requires it does not run.
func TestAnOldKernelMeasuresNothing(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	disk := newDisk(t, units())
	modules := filepath.Join(disk, "usr/lib/modules")
	require.NoError(t, os.Rename(filepath.Join(modules, "7.0.0-1012-gcp"), filepath.Join(modules, "6.8.0-1012-gcp")))
	_, s, _ := boot(t, h, seal(t, disk, []string{debug}))
	s.wait(t, "Failed to start mero-agent.service: it requires mero-measure.service")
	require.Contains(t, s.String(), "tdx_guest: kernel 6.8.0-1012-gcp has no RTMRs in sysfs")
	require.Contains(t, s.String(), "Failed to start mero-measure.service")
}
