package chroot_test

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot"
)

// base is the real one, from the user's cache.
func base(t *testing.T) *chroot.Base {
	t.Helper()
	newHost(t, chroot.Faults{}) // or skip
	if _, err := exec.LookPath("mmdebstrap"); err != nil {
		t.Skip("the base image needs mmdebstrap")
	}
	b, err := chroot.MakeBase(t.Context(), func(line string) { t.Log(line) })
	require.NoError(t, err)
	return b
}

func TestTheBase(t *testing.T) {
	t.Parallel()
	b := base(t)
	require.Contains(t, b.Description, "Ubuntu 26.04 (resolute), made by mmdebstrap on this machine (")
	f, err := os.Open(b.Tar)
	require.NoError(t, err)
	defer f.Close()
	h := sha256.New()
	names := map[string]int64{}
	for in := tar.NewReader(io.TeeReader(f, h)); ; {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names[header.Name] = header.Size
	}
	_, err = io.Copy(h, f)
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%x", h.Sum(nil)), b.ID)
	for _, want := range []string{"./usr/sbin/sshd", "./usr/bin/sudo", "./usr/bin/python3", "./usr/bin/systemctl",
		"./usr/bin/dracut", "./usr/sbin/veritysetup", "./usr/bin/mcopy", "./usr/bin/objcopy", "./usr/bin/cloud-init",
		"./usr/lib/systemd/boot/efi/linuxx64.efi.stub"} {
		require.Contains(t, names, want)
	}
	kernels := slices.DeleteFunc(slices.Collect(maps.Keys(names)), func(name string) bool {
		return !regexp.MustCompile(`^\./boot/vmlinuz-[0-9.-]+-gcp$`).MatchString(name)
	})
	require.Len(t, kernels, 1)
	require.NotContains(t, names, "./etc/ssh/ssh_host_ed25519_key")
	require.Zero(t, names["./etc/resolv.conf"], "this machine's name server is not in the image")

	kept, err := filepath.Glob(filepath.Join(filepath.Dir(b.Tar), "*"))
	require.NoError(t, err)
	require.ElementsMatch(t, []string{b.Tar, b.Tar + ".sha256", filepath.Join(filepath.Dir(b.Tar), ".lock")}, kept,
		"nothing else is left of making it")
	again, err := chroot.MakeBase(t.Context(), func(line string) {
		assert.Contains(t, line, ", which is being made", "it is not made again")
	})
	require.NoError(t, err)
	require.Equal(t, b, again)
}

// One process at a time makes a base.
func TestTheBaseIsLocked(t *testing.T) {
	t.Parallel()
	unlock, err := file.Lock(t.Context(), filepath.Dir(base(t).Tar), nil)
	require.NoError(t, err)
	defer unlock()
	ctx, cancel := context.WithCancel(t.Context())
	_, err = chroot.MakeBase(ctx, func(line string) {
		assert.Contains(t, line, ", which is being made")
		cancel()
	})
	require.ErrorContains(t, err, "another process works in")
}

// login is a key pair of a user.
type login struct{ key, public string }

func newLogin(t *testing.T) login {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	run(t, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
	public, err := os.ReadFile(key + ".pub")
	require.NoError(t, err)
	return login{key, strings.TrimSpace(string(public))}
}

// ssh runs a command in a machine.
func (l login) ssh(t *testing.T, spec chroot.Spec, command string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "ssh", "-F", "none", "-i", l.key, "-p", fmt.Sprint(spec.SSHPort), "-o",
		"BatchMode=yes",
		"-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "packer@"+
			spec.Address, command)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func freePort(t *testing.T, address string) int {
	t.Helper()
	l, err := net.Listen("tcp4", address+":0")
	require.NoError(t, err)
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// buildVM boots a machine from the base, on a new disk, and waits until it can be entered.
func buildVM(t *testing.T, h *chroot.Host, l login, spec chroot.Spec) (*chroot.Machine, chroot.Spec) {
	t.Helper()
	require.NoError(t, h.Unpack(t.Context(), base(t).Tar, spec.Disk))
	t.Cleanup(func() { require.NoError(t, h.Remove(context.Background(), spec.Disk)) })
	s := newSerial()
	spec.Name, spec.Users, spec.Serial = "build", map[string]string{"packer": l.public}, s
	spec.SSHPort = freePort(t, spec.Address)
	m, err := h.Boot(t.Context(), spec)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Stop()) })
	s.wait(t, "Server listening")
	return m, spec
}

// A build VM is what Packer and Ansible find at Google, and its image has nothing of this machine.
func TestABuildVM(t *testing.T) {
	t.Parallel()
	l, h, dir := newLogin(t), newHost(t, chroot.Faults{}), t.TempDir()
	disk, image := filepath.Join(dir, "disk"), filepath.Join(dir, "image.tar")
	m, spec := buildVM(t, h, l, chroot.Spec{Disk: disk, Address: "127.4.0.1"})

	for command, want := range map[string]string{
		"whoami":                "packer\n",
		"hostname":              "build\n",
		"sudo -n id -u":         "0\n",
		"sudo cat /proc/1/comm": "sh\n",
		"sudo systemctl mask serial-getty@ttyS0 2>&1; readlink /etc/systemd/system/serial-getty@ttyS0.service": "/dev/null\n",
		"echo gone >/tmp/residue; sudo touch /etc/built /run/residue; " +
			"ls /etc/built": "/etc/built\n",
		"sudo invoke-rc.d ssh restart":                          "invoke-rc.d: policy-rc.d denied execution of restart.\n",
		"python3 -c 'import apt, os; print(os.openpty() != 0)'": "True\n",
	} {
		out, err := l.ssh(t, spec, command)
		require.NoError(t, err, out)
		require.Contains(t, out, want, command)
	}
	names, err := os.ReadFile("/etc/resolv.conf")
	require.NoError(t, err)
	out, err := l.ssh(t, spec, "cat /etc/resolv.conf")
	require.NoError(t, err)
	require.Equal(t, string(names), out)
	_, err = newLogin(t).ssh(t, spec, "true")
	require.Error(t, err, "a stranger's key")

	require.NoError(t, m.Stop())
	_, err = l.ssh(t, spec, "true")
	require.Error(t, err, "nobody listens any more")
	require.NoError(t, h.Capture(t.Context(), disk, image))
	inside := run(t, "tar", "--list", "--verbose", "--numeric-owner", "--file", image)
	for _, want := range []string{`-rw-r--r-- 0/0 +0 .* \./etc/built`,
		`-r--r----- 0/0 .* \./etc/sudoers\.d/google_sudoers`,
		`-rw------- 1000/1000 .* \./home/packer/\.ssh/authorized_keys`, `-\S+ 0/0 +0 .* \./etc/resolv\.conf`} {
		require.True(t, regexp.MustCompile(want+"\n").MatchString(inside), want)
	}
	for _, no := range []string{" ./usr/sbin/policy-rc.d", "residue", "./dev/null", "./proc/1"} {
		require.False(t, strings.Contains(inside, no), no)
	}
	files, done, err := h.Flat(t.Context(), disk)
	require.NoError(t, err)
	debugProfile(t, h, files, l)
	require.NoError(t, done())
}

// debugProfile boots what was built as a confidential VM: who has sshd is let in, who masks it is not.
func debugProfile(t *testing.T, h *chroot.Host, disk string, l login) {
	t.Helper()
	for _, locked := range []bool{false, true} {
		for _, unit := range []string{"ssh.service", "ssh.socket"} { // Ubuntu enables the socket
			unit = filepath.Join(disk, "etc/systemd/system", unit)
			require.NoError(t, os.RemoveAll(unit))
			if locked {
				require.NoError(t, os.Symlink("/dev/null", unit))
			}
		}
		write(t, disk, "etc/systemd/system/last.service", "[Service]\nType=oneshot\nExecStart=/usr/bin/echo it is up\n")
		wanted := filepath.Join(disk, "etc/systemd/system/multi-user.target.wants/last.service")
		require.NoError(t, os.RemoveAll(wanted))
		require.NoError(t, os.Symlink("/etc/systemd/system/last.service", wanted))
		raw := seal(t, disk, []string{debug}, "usr/share", "usr/lib/python3", "usr/lib/modules", "boot", "var/cache",
			"var/lib/apt", "usr/lib/firmware", "usr/lib/x86_64-linux-gnu/perl", "usr/lib/x86_64-linux-gnu/perl-base")
		s := newSerial()
		spec := chroot.Spec{Name: "debug", Disk: raw, Users: map[string]string{"packer": l.public}, Address: "127.4.0.2",
			Serial: s, Confidential: true}
		spec.SSHPort = freePort(t, spec.Address)
		m, err := h.Boot(t.Context(), spec)
		require.NoError(t, err)
		if locked {
			s.wait(t, "it is up\n[  OK  ] Finished last.service.\nno sshd: the image enables none\n")
		} else {
			s.wait(t, "Server listening")
			out, err := l.ssh(t, spec, "sudo cat /sys/firmware/acpi/tables/data/CCEL | wc -c")
			require.NoError(t, err, out)
			require.NotEqual(t, "0\n", out)
		}
		require.NoError(t, m.Stop())
		require.Equal(t, !locked, strings.Contains(s.String(), "Server listening"), s)
		require.Contains(t, s.String(), "Command line: roothash=")
		require.NoError(t, os.Remove(raw))
	}
}

// A second disk is a device of the build VM: what is written there is in its file.
func TestADeviceOfABuildVM(t *testing.T) {
	t.Parallel()
	l, h, dir := newLogin(t), newHost(t, chroot.Faults{}), t.TempDir()
	disk, second := filepath.Join(dir, "disk"), filepath.Join(dir, "second.raw")
	require.NoError(t, os.WriteFile(second, nil, 0o644))
	require.NoError(t, os.Truncate(second, 1<<30))
	m, spec := buildVM(t, h, l, chroot.Spec{Disk: disk, Address: "127.4.0.5",
		Devices: map[string]string{"mero": second, "persistent-disk-2": second}})
	for command, want := range map[string]string{
		"ls /dev/disk/by-id":                        "google-mero\ngoogle-persistent-disk-2\n",
		"stat -L -c %s /dev/disk/by-id/google-mero": "1073741824\n",
		"printf written | sudo dd of=/dev/disk/by-id/google-mero bs=1 seek=1M conv=notrunc status=none": "",
	} {
		out, err := l.ssh(t, spec, command)
		require.NoError(t, err, out)
		require.Equal(t, want, out, command)
	}
	require.NoError(t, m.Stop())
	f, err := os.Open(second)
	require.NoError(t, err)
	defer f.Close()
	got := make([]byte, 7)
	_, err = f.ReadAt(got, 1<<20)
	require.NoError(t, err)
	require.Equal(t, "written", string(got))
	require.NoError(t, h.Capture(t.Context(), disk, filepath.Join(dir, "image.tar")))
	require.NotContains(t, run(t, "tar", "--list", "--file", filepath.Join(dir, "image.tar")), "google-mero")
}
