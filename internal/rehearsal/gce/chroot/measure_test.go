package chroot_test

import (
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
)

// What changes on a disk moves its own register and no other.
func TestWhatMovesARegister(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(t *testing.T, disk string)
		moved  string
		event  string
	}{
		"nothing": {func(*testing.T, string) {}, "", ""},
		"the command line": {func(t *testing.T, disk string) { commandLine(t, disk, "mero.content=1") }, "rtmr2",
			bootchain.CommandLine("mero.profile=debug mero.content=1 quiet").Text},
		"a kernel": {func(t *testing.T, disk string) { write(t, disk, "boot/vmlinuz-6.1", "kernel") }, "rtmr2",
			"kernel: /boot/vmlinuz-6.1 sha256:" + digest("kernel")},
		"an initrd": {func(t *testing.T, disk string) {
			write(t, disk, "boot/initrd.img-6.1", "initrd")
			require.NoError(t, os.Symlink("initrd.img-6.1", filepath.Join(disk, "boot/initrd.img")))
		}, "rtmr2", "initrd: /boot/initrd.img-6.1 sha256:" + digest("initrd")},
		"a hook of the initrd": {func(t *testing.T, disk string) {
			folder(t, disk, "etc/initramfs-tools/hooks")
			write(t, disk, "etc/initramfs-tools/hooks/mero", "hook")
		}, "rtmr2", ""},
		"the loader": {func(t *testing.T, disk string) {
			folder(t, disk, "boot/efi/EFI")
			write(t, disk, "boot/efi/EFI/shimx64.efi", "shim")
		}, "rtmr1", ""},
		"the loader's package": {func(t *testing.T, disk string) {
			folder(t, disk, "var/lib/dpkg")
			write(t, disk, "var/lib/dpkg/status",
				"Package: shim-signed\nVersion: 1.2\n\nPackage: bash\nVersion: 5\n\nPackage: grub-common\nVersion: 2.06\n")
		}, "rtmr1", "rehearsal shim and loader: grub-common 2.06, shim-signed 1.2"},
		"another file": {func(t *testing.T, disk string) { write(t, disk, "etc/motd", "x") }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			disk := newDisk(t, nil)
			before := registers(measured(t, disk)).Values()
			tc.change(t, disk)
			events := measured(t, disk)
			for i, after := range registers(events).Values() {
				register := tdx.RegisterNames()[i]
				require.Equal(t, register == tc.moved, after != before[i], register)
			}
			if tc.event != "" {
				require.Contains(t, texts(events), tc.event)
			}
		})
	}
}

func measured(t *testing.T, disk string) bootchain.Events {
	t.Helper()
	events, err := chroot.Measure(disk)
	require.NoError(t, err)
	return events
}

func texts(events bootchain.Events) (out []string) {
	for _, e := range events {
		out = append(out, e.Text)
	}
	return out
}

// registers are those of a TD that booted with the events, before its own code
// extends anything.
func registers(events bootchain.Events) tdx.Registers {
	var rtmr [4]tdx.Register
	for _, event := range events {
		rtmr[event.RTMR] = rtmr[event.RTMR].Extend(sha512.Sum384([]byte(event.Text)))
	}
	firmware := tdx.Register(sha512.Sum384([]byte("rehearsal GCP firmware")))
	return tdx.Registers{MRTD: firmware, RTMR0: rtmr[0], RTMR1: rtmr[1], RTMR2: rtmr[2], RTMR3: rtmr[3]}
}

func digest(text string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(text))) }

func folder(t *testing.T, disk, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(disk, name), 0o755))
}

func TestMeasureRefuses(t *testing.T) {
	t.Parallel()
	disk := newDisk(t, nil)
	write(t, disk, "etc/default/grub.d/70.cfg", "if true; then X=1; fi")
	_, err := chroot.Measure(disk)
	require.ErrorContains(t, err, "/etc/default/grub.d/70.cfg: line 1: not an assignment")
	require.NoError(t, os.Remove(filepath.Join(disk, "etc/default/grub.d/70.cfg")))
	require.NoError(t, os.Remove(filepath.Join(disk, "etc/default/grub")))
	require.NoError(t, os.Symlink("/etc/hostname", filepath.Join(disk, "etc/default/grub")))
	_, err = chroot.CommandLine(disk)
	require.ErrorContains(t, err, "escapes", "no file of this machine is read")
	_, err = chroot.Measure(filepath.Join(disk, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
