package ansible_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const bootScript = "roles/verity/files/root/etc/initramfs-tools/scripts/local-bottom/mero-verity"

// boot runs the initramfs's script in a folder that stands for the initramfs:
// its commands only say what they were asked. (dm-verity itself is the kernel's.)
func boot(t *testing.T, cmdline, failing string, files ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	for _, name := range append(files, "scripts/functions", "proc/cmdline") {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o644))
	}
	functions :=
		"panic() { echo \"panic: $*\"; exit 9; }\nresolve_device() { echo /dev/boot; }\nget_fstype() { echo ext4; }\n"
	for _, command := range []string{"losetup", "veritysetup", "mount", "umount"} {
		functions += command + "() { echo \"" + command + " $*\" >&2; if [ \"" + command + " $1\" = \"" + failing +
			"\" ]; then return 1; fi; }\n"
	}
	functions += "losetup() { echo \"losetup $*\" >&2; echo /dev/loop7; }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "scripts/functions"), []byte(functions), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "proc/cmdline"), []byte(cmdline+"\n"), 0o644))
	script, err := os.ReadFile(bootScript)
	require.NoError(t, err)
	text := string(script)
	for _, path := range []string{"/scripts/functions", "/proc/cmdline", "/mero-root", "/mero-boot"} {
		require.Contains(t, text, path)
		text = strings.ReplaceAll(text, " "+path, " "+dir+path)
		text = strings.ReplaceAll(text, "="+path, "="+dir+path)
	}
	cmd := exec.Command("/bin/sh", "-c", text)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "rootmnt=" + filepath.Join(dir, "root")}
	said, err := cmd.CombinedOutput()
	return strings.ReplaceAll(string(said), dir, ""), err
}

const measured = "BOOT_IMAGE=/vmlinuz root=LABEL=x ro mero.profile=locked-read-only mero.rootfs=squashfs " +
	"mero.roothash=abc mero.hashoffset=8192 quiet"

func TestBootPutsTheVerifiedRootInPlaceOfTheDisk(t *testing.T) {
	t.Parallel()
	said, err := boot(t, measured, "", "root/boot/mero/root.img")
	require.NoError(t, err, said)
	require.Equal(t, `losetup --find --show --read-only /root/boot/mero/root.img
veritysetup open --hash-offset=8192 /dev/loop7 mero-root /dev/loop7 abc
mount -r -t squashfs /dev/mapper/mero-root /mero-root
umount -l /root
mount -o move /mero-root /root
`, said)
}

func TestBootLooksAtTheFileSystemForBoot(t *testing.T) {
	t.Parallel()
	said, err := boot(t, measured, "")
	require.NoError(t, err, said)
	require.Contains(t, said,
		"mount -r -t ext4 /dev/boot /mero-boot\nlosetup --find --show --read-only /mero-boot/mero/root.img\n")
	require.Contains(t, said, "umount -l /mero-boot\numount -l /root\n")
}

func TestBootWithoutRootHashLeavesTheDisk(t *testing.T) {
	t.Parallel()
	said, err := boot(t, "root=LABEL=x ro mero.profile=debug", "", "root/boot/mero/root.img")
	require.NoError(t, err)
	require.Empty(t, said)
}

func TestBootStopsAtWhatDoesNotVerify(t *testing.T) {
	t.Parallel()
	said, err := boot(t, measured, "veritysetup open", "root/boot/mero/root.img")
	require.Error(t, err)
	require.Contains(t, said, "panic: mero: /root/boot/mero/root.img does not have the measured root hash")
	require.NotContains(t, said, "mount -r -t squashfs")
	require.NotContains(t, said, "move")
}
