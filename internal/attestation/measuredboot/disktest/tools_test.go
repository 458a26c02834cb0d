package disktest_test

import (
	"bytes"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot/disktest"
)

const mebibyte = 1 << 20

// run runs a tool in a folder, where the machine has it.
func run(t *testing.T, dir, stdin, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed", name)
	}
	cmd := exec.CommandContext(t.Context(), path, args...)
	cmd.Dir, cmd.Stdin = dir, bytes.NewBufferString(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

func parts() (root, tree, uki []byte, hash [32]byte) {
	root = bytes.Repeat([]byte("hsqs, a root. "), 300*4096/14+1)[:300*4096]
	tree, hash = disktest.Tree(root, []byte("salt"))
	return root, tree, disktest.UKI(disktest.Spec{Kernel: bytes.Repeat([]byte("kernel"), 99999)}.Sections(hash)...), hash
}

// What this package makes is what the tools of distributions read.
func TestToolsReadOurs(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, tree, uki, hash := parts()
	esp := disktest.FAT(disktest.File{Path: "EFI/BOOT/BOOTX64.EFI", Content: uki})
	for name, content := range map[string][]byte{"root": root, "tree": tree, "esp": esp} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	require.NoError(t, disktest.Assemble(esp, root, tree).WriteFile(filepath.Join(dir, "disk")))
	run(t, dir, "", "veritysetup", "verify", "root", "tree", hex.EncodeToString(hash[:]))
	run(t, dir, "", "fsck.vfat", "-n", "esp")
	run(t, dir, "", "mcopy", "-i", "esp", "::EFI/BOOT/BOOTX64.EFI", "uki")
	copied, err := os.ReadFile(filepath.Join(dir, "uki"))
	require.NoError(t, err)
	require.Equal(t, uki, copied)
	require.Contains(t, run(t, dir, "", "sfdisk", "--verify", "disk"), "No errors detected")
	require.Contains(t, run(t, dir, "", "objdump", "-h", "uki"), ".cmdline")
}

// What those tools make, as the image's last step calls them, is what measuredboot reads.
func TestOursReadsTools(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, _, uki, hash := parts()
	for name, content := range map[string][]byte{"root": root, "uki": uki} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), content, 0o600))
	}
	for name, size := range map[string]int64{"esp": 64 * mebibyte, "disk": 69 * mebibyte} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
		require.NoError(t, os.Truncate(filepath.Join(dir, name), size))
	}
	made := run(t, dir, "", "veritysetup", "format", "root", "tree", "--hash", "sha256",
		"--salt", hex.EncodeToString([]byte("salt")))
	require.Contains(t, made, hex.EncodeToString(hash[:]), "the same root hash")
	run(t, dir, "", "mkfs.vfat", "-F", "32", "-n", "ESP", "-i", "4d45524f", "--invariant", "esp")
	run(t, dir, "", "mmd", "-i", "esp", "::EFI", "::EFI/BOOT")
	run(t, dir, "", "mcopy", "-m", "-i", "esp", "uki", "::EFI/BOOT/BOOTX64.EFI")
	run(t, dir, "label: gpt\nlabel-id: "+disktest.Disk+"\n"+
		"start=1MiB, size=64MiB, type="+disktest.TypeESP+", uuid="+disktest.ESP+", name=esp\n"+
		"start=65MiB, size=2MiB, type="+disktest.TypeRoot+", uuid="+disktest.Root+", name=root\n"+
		"start=67MiB, size=1MiB, type="+disktest.TypeRootVerity+", uuid="+disktest.RootVerity+", name=root-verity\n",
		"sfdisk", "--quiet", "disk")
	disk, err := os.ReadFile(filepath.Join(dir, "disk"))
	require.NoError(t, err)
	for name, at := range map[string]int{"esp": 1, "root": 65, "tree": 67} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		copy(disk[at*mebibyte:], content)
	}
	d, err := measuredboot.Open(bytes.NewReader(disk), int64(len(disk)))
	require.NoError(t, err)
	require.NoError(t, d.VerifyRoot(t.Context()))
	require.Equal(t, hash[:], d.Boot().RootHash[:])
}
