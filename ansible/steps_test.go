package ansible_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const diskSize = 2 << 30

// steps runs steps of role disk in a folder that stands for /run/mero.
type steps struct {
	t         *testing.T
	dir, disk string
}

func newSteps(t *testing.T) *steps {
	t.Helper()
	s := &steps{t: t, dir: t.TempDir()}
	s.disk = filepath.Join(s.dir, "raw")
	require.NoError(t, os.WriteFile(s.disk, nil, 0o644))
	require.NoError(t, os.Truncate(s.disk, diskSize))
	for name, size := range map[string]int64{"uki.efi": 3 << 20, "root.img": 5 << 20, "verity.img": 4096} {
		s.file(name, size)
	}
	return s
}

func (s *steps) file(name string, size int64) {
	s.t.Helper()
	require.NoError(s.t, os.WriteFile(filepath.Join(s.dir, name), []byte(name), 0o644))
	require.NoError(s.t, os.Truncate(filepath.Join(s.dir, name), size))
}

func (s *steps) run(name string, tools ...string) (string, error) {
	s.t.Helper()
	for _, t := range tools {
		tool(s.t, t)
	}
	text, err := os.ReadFile(filepath.Join("roles/disk/files/root/run/mero/steps", name))
	require.NoError(s.t, err)
	script := filepath.Join(s.dir, name)
	require.NoError(s.t, os.WriteFile(script, []byte(strings.ReplaceAll(string(text), "/run/mero/", s.dir+"/")), 0o755))
	cmd := exec.Command("sh", "-c", `exec "$0"`, script)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "MERO_DISK=" + s.disk, "MERO_PARTS=" + s.dir,
		"MERO_ROOT=" + filepath.Join(s.dir, "root")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestTheDiskIsRefusedBeforeAnythingIsMade(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(*testing.T, string)
		want  string
	}{
		"none": {func(t *testing.T, disk string) { require.NoError(t, os.Remove(disk)) },
			"neither a block device nor a file"},
		"small": {func(t *testing.T, disk string) { require.NoError(t, os.Truncate(disk, 1<<30)) },
			"it has 1073741824 bytes instead of 2147483648"},
		"larger": {func(t *testing.T, disk string) { require.NoError(t, os.Truncate(disk, 3<<30)) },
			"it has 3221225472 bytes instead of 2147483648"},
		"used": {func(t *testing.T, disk string) {
			require.NoError(t, os.WriteFile(disk, []byte("x"), 0o644))
			require.NoError(t, os.Truncate(disk, diskSize))
		}, "it is not blank"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSteps(t)
			tc.spoil(t, s.disk)
			said, err := s.run("01-disk")
			require.Error(t, err)
			require.Contains(t, said, tc.want)
		})
	}
}

// A name that udev made may be gone later: the steps after it use where it led.
func TestTheDiskIsWrittenTheSameTwice(t *testing.T) {
	t.Parallel()
	var disks [2]*steps
	for i := range disks {
		s := newSteps(t)
		disks[i] = s
		raw := s.disk
		s.disk = filepath.Join(s.dir, "name")
		require.NoError(t, os.Symlink(raw, s.disk))
		said, err := s.run("01-disk")
		require.NoError(t, err, said)
		require.NoError(t, os.Remove(s.disk))
		said, err = s.run("60-disk", "sfdisk", "mkfs.vfat", "mcopy")
		require.NoError(t, err, said)
		s.disk = raw
	}
	out, err := exec.Command("cmp", disks[0].disk, disks[1].disk).CombinedOutput()
	require.NoError(t, err, string(out))
}

func TestWhatDoesNotFitIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		file string
		size int64
		want string
	}{
		"kernel and initrd": {"uki.efi", 125 << 20, "kernel and initrd take 125 MiB, and 124 are left for them"},
		"root":              {"root.img", 1918 << 20, "root and tree take 1918 and 1 MiB, and 1918 are left for them"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSteps(t)
			s.file(tc.file, tc.size)
			said, err := s.run("01-disk")
			require.NoError(t, err, said)
			said, err = s.run("60-disk")
			require.Error(t, err)
			require.Contains(t, said, tc.want)
		})
	}
}

// What is installed and named by no role is masked; so is its alias.
func TestWhatMayNotActIsMasked(t *testing.T) {
	t.Parallel()
	s := newSteps(t)
	at := func(name string) string { return filepath.Join(s.dir, "root", name) }
	for _, name := range []string{"usr/lib/systemd/system/a.timer", "usr/lib/systemd/system/b@.service",
		"usr/lib/systemd/system/c.target", "etc/systemd/system/d.socket", "usr/lib/systemd/system-generators/e",
		"usr/lib/systemd/system/ours-1.service"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(at(name)), 0o755))
		require.NoError(t, os.WriteFile(at(name), nil, 0o644))
	}
	require.NoError(t, os.Symlink("a.timer", at("usr/lib/systemd/system/ours-2.service")))
	require.NoError(t, os.Symlink("/usr/lib/systemd/system/ours-1.service", at("etc/systemd/system/f.service")))
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "may-act"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(s.dir, "may-act/x"), []byte("# ours\nours-*.service\n"), 0o644))
	said, err := s.run("15-mask")
	require.NoError(t, err, said)
	masks := map[string]bool{}
	for _, name := range []string{"system/a.timer", "system/b@.service", "system/c.target", "system/d.socket",
		"system-generators/e", "system/ours-1.service", "system/ours-2.service", "system/f.service"} {
		target, err := os.Readlink(at("etc/systemd/" + name))
		masks[name] = err == nil && target == "/dev/null"
	}
	require.Equal(t, map[string]bool{"system/a.timer": true, "system/b@.service": true, "system/c.target": false,
		"system/d.socket": true, "system-generators/e": true, "system/ours-1.service": false,
		"system/ours-2.service": true, "system/f.service": false}, masks)
}
