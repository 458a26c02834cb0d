package ansible_test

import (
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/release"
)

func TestImagesOfEveryProfileConform(t *testing.T) {
	t.Parallel()
	for _, p := range release.Profiles() {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			said, err := newImage(t, p).judge()
			require.NoError(t, err, said)
			require.Empty(t, said)
		})
	}
}

// spoilt is a way in which an image does not conform, and what is said of it.
type spoilt struct {
	spoil func(*image)
	want  string
}

// everywhere are faults in every profile.
var everywhere = map[string]spoilt{
	"the build's account": {func(i *image) {
		appendTo(i, "/etc/passwd", "packer:x:1000:1000::/home/packer:/bin/bash\n")
	}, "accounts ['"},
	"its home": {func(i *image) { i.write("/home/packer/.bashrc", "", 0o644) }, "homes ["},
	"its sudo": {func(i *image) { i.write("/etc/sudoers.d/google_sudoers", "", 0o440) },
		"residue of the build: /etc/sudoers.d/google_sudoers"},
	"root's keys": {func(i *image) { i.write("/root/.ssh/authorized_keys", "", 0o600) },
		"residue of the build: /root/.ssh"},
	"a password": {func(i *image) { i.edit("/etc/shadow", "root:*", "root:$y$j9T$x") },
		"account root has a password"},
	"an empty password": {func(i *image) { i.edit("/etc/shadow", "root:*", "root:") },
		"account root has a password, or needs none"},
	"a date in shadow": {func(i *image) { i.edit("/etc/shadow", "root:*:", "root:*:20000") },
		"the password of root carries a date"},
	"a backup of passwd": {func(i *image) { i.write("/etc/passwd-", "", 0o644) },
		"residue of the build: /etc/passwd-"},
	"a host key": {func(i *image) { i.write("/etc/ssh/ssh_host_rsa_key", "", 0o600) },
		"this machine's identity: /etc/ssh/ssh_host_rsa_key"},
	"a machine id": {func(i *image) { i.write("/etc/machine-id", "0123", 0o444) },
		"/etc/machine-id is not an empty file"},
	"no machine id": {func(i *image) { i.remove("/etc/machine-id") }, "/etc/machine-id is not an empty file"},
	"compiled Python": {func(i *image) { i.write("/usr/lib/python3/__pycache__/x.pyc", "", 0o644) },
		"compiled Python"},
	"cloud-init's state": {func(i *image) { i.write("/var/lib/cloud/instance", "", 0o644) },
		"residue of the build: /var/lib/cloud"},
	"another profile's unit": {func(i *image) {
		i.edit("/etc/systemd/system/mero-measure.service", "-profile=", "-profile=x")
	}, "mero-measure.service does not name profile"},
	"the agent off": {func(i *image) { i.remove("/etc/systemd/system/multi-user.target.wants/mero-agent.service") },
		"mero-agent.service does not run at boot"},
	"no measuring": {func(i *image) { i.remove("/etc/systemd/system/sysinit.target.wants/mero-measure.service") },
		"mero-measure.service does not run at boot"},
	"a program too many": {func(i *image) { i.write("/usr/lib/mero/other", "", 0o755) }, "programs ["},
	"a program too few":  {func(i *image) { i.remove("/usr/lib/mero/merod") }, "programs ["},
	"a program for all": {func(i *image) { require.NoError(i.t, os.Chmod(i.path("/usr/lib/mero/merod"), 0o777)) },
		"merod is not of mode 0755"},
	"a unit of nothing": {func(i *image) {
		i.write("/etc/systemd/system/x.service", "[Service]\nExecStart=/usr/lib/mero/x -y\n", 0o644)
	}, "x.service starts /usr/lib/mero/x, which is not there"},
	"a companion off": {func(i *image) { i.remove("/etc/systemd/system/multi-user.target.wants/traefik.service") },
		"traefik.service does not run at boot"},
	"Ubuntu 24.04's kernel": {func(i *image) { i.kernel("6.8.0-1042-gcp") },
		"kernel 6.8.0-1042-gcp cannot extend RTMR3: Linux 6.16 was the first to do so"},
	"two kernels": {func(i *image) { i.kernel("7.0.0-1018-gcp") },
		"kernels ['7.0.0-1012-gcp', '7.0.0-1018-gcp'] instead of exactly one"},
	"a kernel without modules": {func(i *image) { i.write("/boot/vmlinuz-6.17.0", "", 0o600) },
		"kernel 6.17.0 has no module tdx_guest"},
	"a kernel without the module": {func(i *image) { i.remove(guestModule(kernelVersion)) },
		"kernel 7.0.0-1012-gcp has no module tdx_guest"},
	"a kernel without RTMRs": {func(i *image) {
		i.edit("/boot/config-7.0.0-1012-gcp", "CONFIG_TSM_MEASUREMENTS=y", "# CONFIG_TSM_MEASUREMENTS is not set")
	}, "kernel 7.0.0-1012-gcp is built without CONFIG_TSM_MEASUREMENTS"},
	"a kernel of which nothing is known": {func(i *image) { i.remove("/boot/config-7.0.0-1012-gcp") },
		"kernel 7.0.0-1012-gcp is built without CONFIG_TDX_GUEST_DRIVER"},
	"no kernel": {func(i *image) {
		i.remove("/lib/modules")
		i.remove("/boot/vmlinuz-7.0.0-1012-gcp")
	}, "kernels [] instead of exactly one"},
	"a module that nothing loads": {func(i *image) {
		i.edit("/etc/modules-load.d/mero.conf", "\ntdx_guest", "\n#tdx_guest")
	}, "tdx_guest is not loaded early"},
	"no manifest": {func(i *image) { i.remove("/usr/share/mero/manifest") }, "the manifest is missing"},
	"another manifest": {func(i *image) { appendTo(i, "/usr/share/mero/manifest", "package\tb\t1\tall\n") },
		"mero.content is not "},
	"another kernel in the loader": {func(i *image) { i.write("/boot/vmlinuz-7.0.0-1012-gcp", "other", 0o600) },
		".linux of the loader is not vmlinuz-7.0.0-1012-gcp"},
	"another system in the loader": {func(i *image) { i.write("/usr/lib/os-release", "ID=debian\n", 0o644) },
		".osrel of the loader is not os-release"},
	"a stub that does not measure": {func(i *image) { i.stub = "code" },
		"the loader's stub does not know how to measure into RTMRs"},
	"another profile": {func(i *image) { i.words("mero.profile=", "mero.profile=x") },
		"mero.profile is not "},
	"a profile twice": {func(i *image) { i.line += " mero.profile=debug" },
		"a word is twice on the kernel command line"},
	"another root hash": {func(i *image) { i.words("roothash=ab", "roothash=cd") },
		"roothash is not abab"},
	"another disk": {func(i *image) { i.words("00000003 ", "00000005 ") },
		"systemd.verity_root_data is not PARTUUID="},
	"another tree": {func(i *image) { i.words("00000004 ", "00000005 ") },
		"systemd.verity_root_hash is not PARTUUID="},
	"a root that goes on without a block": {func(i *image) { i.words("panic-on-corruption", "ignore-corruption") },
		"systemd.verity_root_options is not panic-on-corruption"},
	"EFI variables": {func(i *image) { i.words("efi=noruntime ", "") }, "efi is not noruntime"},
	"a host's credentials": {func(i *image) { i.words("_credentials=no", "_credentials=yes") },
		"systemd.import_credentials is not no"},
	"a failed boot's shell":  {func(i *image) { i.words("panic=5 ", "") }, "panic is not 5"},
	"a shell in the initrd":  {func(i *image) { i.words("rd.shell=0 ", "") }, "rd.shell is not 0"},
	"a shell in emergencies": {func(i *image) { i.words("rd.emergency=reboot ", "") }, "rd.emergency is not reboot"},
	"partitions found by type": {func(i *image) { i.words("systemd.gpt_auto=0 ", "") },
		"systemd.gpt_auto is not 0"},
	"a root that is written to": {func(i *image) { i.words(" ro ", " ") }, "ro is not on the kernel command line"},
	"a word nobody decided on":  {func(i *image) { i.line += " init=/bin/sh" }, "nobody decided on init"},
	"an initrd that nobody can read": {func(i *image) { i.initrd = nil },
		"the initrd has no driver dm-verity"},
	"an initrd without the TD": {func(i *image) {
		delete(i.initrd, "usr/lib/modules/7.0.0-1012-gcp/tdx-guest.ko.zst")
	}, "the initrd has no driver tdx-guest"},
	"an initrd without disks": {func(i *image) { delete(i.initrd, "usr/lib/modules/7.0.0-1012-gcp/nvme.ko.zst") },
		"the initrd has no driver nvme"},
	"an initrd without verity": {func(i *image) {
		delete(i.initrd, "usr/lib/systemd/system-generators/systemd-veritysetup-generator")
	}, "the initrd does not open the verified root"},
	"an emergency in the initrd": {func(i *image) { delete(i.initrd, "etc/systemd/system/emergency.target") },
		"emergency.target of the initrd is not a reboot"},
	"a debug shell in the initrd": {func(i *image) { i.initrd["etc/systemd/system/debug-shell.service"] = "" },
		"system/debug-shell.service of the initrd is not masked"},
	"a generator in the initrd": {func(i *image) {
		delete(i.initrd, "etc/systemd/system-generators/systemd-debug-generator")
	}, "system-generators/systemd-debug-generator of the initrd is not masked"},
	"a timer": {func(i *image) { i.remove("/etc/systemd/system/apt-daily.timer") }, "apt-daily.timer is not masked"},
	"a new unit": {func(i *image) { i.write("/usr/lib/systemd/system/new.socket", "", 0o644) },
		"new.socket is not masked"},
	"an alias of what may not act": {func(i *image) { i.link("/usr/lib/systemd/system/dbus.service", "new.service") },
		"dbus.service is not masked"},
	"a unit of the machine's": {func(i *image) { i.write("/etc/systemd/system/snap-core.path", "", 0o644) },
		"snap-core.path is not masked"},
	"commands by variable": {func(i *image) { i.remove("/etc/systemd/system-generators/systemd-run-generator") },
		"systemd-run-generator is not masked"},
	"a generator of the machine's": {func(i *image) {
		i.write("/etc/systemd/system-environment-generators/x", "", 0o755)
	}, "x is not masked"},
	"a disk in fstab": {func(i *image) { appendTo(i, "/etc/fstab", "/dev/sda1 /mnt ext4 defaults 0 0\n") },
		"/etc/fstab mounts something of the disk"},
	"swap": {func(i *image) { appendTo(i, "/etc/fstab", "/swapfile none swap sw 0 0\n") },
		"/etc/fstab mounts something of the disk"},
	"a journal on the disk": {func(i *image) {
		i.edit("/etc/systemd/journald.conf.d/90-mero.conf", "Storage=volatile", "Storage=persistent")
	}, "the journal is not kept in memory"},
	"core dumps": {func(i *image) { i.edit("/etc/sysctl.d/90-mero.conf", "kernel.core_pattern", "#") },
		"a crash leaves a core dump"},
	"the build's name server": {func(i *image) { i.write("/etc/resolv.conf", "nameserver 10.0.0.1\n", 0o644) },
		"/etc/resolv.conf is not systemd-resolved's"},
	"a network that nobody waits for": {func(i *image) {
		i.remove("/etc/systemd/system/network-online.target.wants/systemd-networkd-wait-online.service")
	}, "systemd-networkd-wait-online.service does not run at boot"},
	"overlayroot": {func(i *image) { i.write("/etc/overlayroot.conf", "", 0o644) },
		"residue of the build: /etc/overlayroot.conf"},
	"a policy left by a step": {func(i *image) { i.write("/usr/sbin/policy-rc.d", "", 0o755) },
		"residue of the build: /usr/sbin/policy-rc.d"},
}

// verified are faults of a root that says it cannot be written to.
var verified = map[string]spoilt{
	"an overlay": {func(i *image) { i.line += " systemd.volatile=overlay" }, "a writable root is called verified"},
}

// unlocked are faults of the locked profile.
var unlocked = map[string]spoilt{
	"an SSH server": {func(i *image) { i.write("/usr/sbin/sshd", "", 0o755) }, "a way in: /usr/sbin/sshd"},
	"SSH not masked": {func(i *image) { i.remove("/etc/systemd/system/ssh.service") },
		"ssh.service is not masked"},
	"a socket for SSH": {func(i *image) { i.write("/etc/systemd/system/ssh.socket", "[Socket]", 0o644) },
		"ssh.socket is not masked"},
	"a login account": {func(i *image) { appendTo(i, "/etc/passwd", "debug:x:1500:1500::/:/usr/sbin/nologin\n") },
		"accounts ['debug'] instead of []"},
	"a shell": {func(i *image) { i.edit("/etc/passwd", "/usr/sbin/nologin", "/bin/sh") },
		"accounts have a shell: /bin/sh"},
	"a getty": {func(i *image) { i.remove("/etc/systemd/system/getty@.service") },
		"getty@.service is not masked"},
	"a getty on serial": {func(i *image) { i.remove("/etc/systemd/system/serial-getty@.service") },
		"serial-getty@.service is not masked"},
	"a rescue shell": {func(i *image) { i.remove("/etc/systemd/system/rescue.service") },
		"rescue.service is not masked"},
	"an emergency shell": {func(i *image) { i.remove("/etc/systemd/system/emergency.service") },
		"emergency.service is not masked"},
	"a serial console": {func(i *image) { i.words("console=tty0", "console=ttyS0") },
		"the kernel has a serial console"},
	"the magic key": {func(i *image) { i.remove("/etc/sysctl.d/91-mero-locked.conf") },
		"the magic key reaches the kernel"},
	"Google's agent": {func(i *image) { i.write("/usr/bin/google_guest_agent", "", 0o755) },
		"a way in: /usr/bin/google_guest_agent"},
	"cloud-init": {func(i *image) { i.write("/usr/bin/cloud-init", "", 0o755) },
		"a way in: /usr/bin/cloud-init"},
	"telemetry, unannounced": {func(i *image) { i.write("/usr/lib/mero/vector", "", 0o755) },
		"telemetry in the locked profile: /usr/lib/mero/vector"},
	"telemetry, announced": {func(i *image) {
		i.write("/usr/lib/mero/vmagent", "", 0o755)
		i.programs = append(i.programs, "vmagent")
	}, "telemetry in the locked profile: /usr/lib/mero/vmagent"},
}

// closed are faults of the profiles that one may look into.
var closed = map[string]spoilt{
	"no SSH server": {func(i *image) { i.remove("/usr/sbin/sshd") }, "there is no SSH server"},
	"SSH off": {func(i *image) { i.remove("/etc/systemd/system/multi-user.target.wants/ssh.service") },
		"ssh.service does not run at boot"},
	"no host key": {func(i *image) { i.remove("/etc/systemd/system/multi-user.target.wants/mero-host-keys.service") },
		"no host key is made at boot"},
	"passwords": {func(i *image) {
		i.edit("/etc/ssh/sshd_config.d/10-mero.conf", "PasswordAuthentication no", "PasswordAuthentication yes")
	}, "SSH takes passwords"},
	"another account": {func(i *image) { appendTo(i, "/etc/passwd", "ubuntu:x:1000:1000::/:/bin/bash\n") },
		"accounts ['debug', 'ubuntu']"},
}

func TestConformanceFails(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("makes an image for each way to spoil one")
	}
	cases := map[release.Profile]map[string]spoilt{
		release.Debug:          merge(everywhere, closed),
		release.DebugReadOnly:  merge(verified, closed),
		release.LockedReadOnly: merge(everywhere, verified, unlocked),
	}
	for _, p := range release.Profiles() {
		for _, name := range slices.Sorted(maps.Keys(cases[p])) {
			t.Run(string(p)+"/"+name, func(t *testing.T) {
				t.Parallel()
				i := newImage(t, p)
				cases[p][name].spoil(i)
				said, err := i.judge()
				require.Error(t, err, "it must fail the build")
				require.Contains(t, said, "conformance of "+string(p)+": ")
				require.Contains(t, said, cases[p][name].want)
			})
		}
	}
}

func merge(all ...map[string]spoilt) map[string]spoilt {
	out := map[string]spoilt{}
	for _, m := range all {
		maps.Copy(out, m)
	}
	return out
}

func appendTo(i *image, name, text string) { i.write(name, i.read(name)+text, 0o644) }

// words changes the command line.
func (i *image) words(from, to string) {
	i.t.Helper()
	require.Contains(i.t, i.line, from)
	i.line = strings.Replace(i.line, from, to, 1)
}
