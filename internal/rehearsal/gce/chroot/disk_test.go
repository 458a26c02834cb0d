//go:build linux

package chroot_test

import (
	"bytes"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
)

// capability is security.capability with cap_net_raw, as a file of iputils has it.
var capability = []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

func TestADiskAndItsImage(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("who is not root makes no files of others")
	}
	for name, layers := range map[string]bool{"a layer": true, "a folder": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, chroot.Faults{})
			if !layers {
				h.WithoutLayers()
			}
			diskAndImage(t, h, layers)
		})
	}
}

func diskAndImage(t *testing.T, h *chroot.Host, layers bool) {
	t.Helper()
	dir := t.TempDir()
	disk, image := filepath.Join(dir, "disk"), filepath.Join(dir, "images", "image.tar")
	folder(t, disk, "etc")
	folder(t, disk, "dev")
	write(t, disk, "etc/shadow", "secret")
	file := filepath.Join(disk, "etc/shadow")
	require.NoError(t, os.Chown(file, 54321, 42))
	require.NoError(t, os.Chmod(file, 0o640|os.ModeSetgid))
	require.NoError(t, os.Link(file, filepath.Join(disk, "etc/shadow-")))
	require.NoError(t, os.Symlink("/nowhere", filepath.Join(disk, "link")))
	write(t, disk, "ping", "program")
	require.NoError(t, unix.Setxattr(filepath.Join(disk, "ping"), "security.capability", capability, 0))
	require.NoError(t, os.Chmod(disk, 0o711))

	require.NoError(t, h.Capture(t.Context(), disk, image))
	again := filepath.Join(dir, "again")
	require.NoError(t, h.Unpack(t.Context(), image, again))
	files := again
	if layers {
		var err error
		files, err = os.Readlink(filepath.Join(again, ".layer/base"))
		require.NoError(t, err)
	}
	same(t, files)
	second := filepath.Join(dir, "second.tar")
	require.NoError(t, h.Capture(t.Context(), again, second))
	a, err := os.ReadFile(image)
	require.NoError(t, err)
	b, err := os.ReadFile(second)
	require.NoError(t, err)
	require.True(t, bytes.Equal(a, b), "the same files, the same bytes")

	require.ErrorIs(t, h.Unpack(t.Context(), image, again), os.ErrExist)
	require.NoError(t, h.Remove(t.Context(), again))
	require.NoDirExists(t, again)
	require.NoError(t, h.Remove(t.Context(), again))
}

// Two disks of one image share its files, and neither sees what the other writes.
func TestTwoDisksOfAnImage(t *testing.T) {
	t.Parallel()
	h, dir := newHost(t, chroot.Faults{}), t.TempDir()
	if !h.Layers() {
		t.Skip("this machine lays no folder over another")
	}
	disk, image := filepath.Join(dir, "disk"), filepath.Join(dir, "a:b,c image.tar")
	folder(t, disk, "etc")
	write(t, disk, "etc/hostname", "one")
	require.NoError(t, h.Capture(t.Context(), disk, image))
	one, two := filepath.Join(dir, "one, a:b"), filepath.Join(dir, "two")
	for _, d := range []string{one, two} {
		require.NoError(t, h.Unpack(t.Context(), image, d))
	}
	base, err := os.Readlink(filepath.Join(one, ".layer/base"))
	require.NoError(t, err)
	other, err := os.Readlink(filepath.Join(two, ".layer/base"))
	require.NoError(t, err)
	require.Equal(t, base, other)
	folder(t, filepath.Join(one, ".layer/upper"), "etc")
	write(t, filepath.Join(one, ".layer/upper"), "etc/written", "")
	for d, there := range map[string]bool{one: true, two: false} {
		flat, done, err := h.Flat(t.Context(), d)
		require.NoError(t, err)
		require.FileExists(t, filepath.Join(flat, "etc/hostname"))
		_, err = os.Stat(filepath.Join(flat, "etc/written"))
		require.Equal(t, there, err == nil, d)
		require.NoError(t, done())
		require.NoDirExists(t, flat)
	}
	require.NoFileExists(t, filepath.Join(base, "etc/written"))

	require.NoError(t, os.RemoveAll(base))
	s := newSerial()
	m, err := h.Boot(t.Context(), chroot.Spec{Name: "late", Disk: two, Serial: s, Address: "127.4.0.9"})
	require.NoError(t, err)
	s.wait(t, "went with the process that had unpacked them")
	require.NoError(t, m.Stop())
}

func folder(t *testing.T, disk, name string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Join(disk, name), 0o755))
}

func same(t *testing.T, disk string) {
	t.Helper()
	var one, two, top unix.Stat_t
	require.NoError(t, unix.Lstat(filepath.Join(disk, "etc/shadow"), &one))
	require.NoError(t, unix.Lstat(filepath.Join(disk, "etc/shadow-"), &two))
	require.NoError(t, unix.Lstat(disk, &top))
	require.Equal(t, one.Ino, two.Ino, "hard links")
	require.Equal(t, []uint32{54321, 42, syscall.S_IFREG | syscall.S_ISGID | 0o640}, []uint32{one.Uid, one.Gid, one.Mode})
	require.Equal(t, uint32(syscall.S_IFDIR|0o711), top.Mode)
	target, err := os.Readlink(filepath.Join(disk, "link"))
	require.NoError(t, err)
	require.Equal(t, "/nowhere", target)
	got := make([]byte, 64)
	n, err := unix.Getxattr(filepath.Join(disk, "ping"), "security.capability", got)
	require.NoError(t, err)
	require.Equal(t, capability, got[:n])
}

// What fails leaves nothing behind.
func TestABrokenImage(t *testing.T) {
	t.Parallel()
	h := newHost(t, chroot.Faults{})
	dir := t.TempDir()
	write(t, dir, "broken.tar", "this is no tar, and it is longer than one would think of")
	require.ErrorContains(t, h.Unpack(t.Context(), filepath.Join(dir, "broken.tar"), filepath.Join(dir, "disk")), "tar: ")
	require.Error(t, h.Unpack(t.Context(), filepath.Join(dir, "none.tar"), filepath.Join(dir, "disk")))
	require.Error(t, h.Capture(t.Context(), filepath.Join(dir, "no-disk"), filepath.Join(dir, "image.tar")))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
}
