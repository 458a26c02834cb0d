package chroot

import (
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
)

//go:embed login.sh
var loginScript string

// guestPath is the PATH of what is run in an image.
const guestPath = "PATH=" + searchPath

// bootOrdinary starts a build VM, as Google's guest agent sets it up.
func (m *Machine) bootOrdinary() error {
	if info, err := os.Stat(m.spec.Disk); err != nil || !info.IsDir() {
		return errors.Join(err, errors.New("a raw disk boots confidential VMs alone: no kernel of an image runs here"))
	}
	folder, mode := m.spec.Disk, writable
	if layer, ok := layerOf(m.spec.Disk); ok {
		if _, err := os.Stat(filepath.Join(layer, baseLink)); err != nil {
			return fmt.Errorf("the files of the disk's image went with the process that had unpacked them: %w", err)
		}
		folder, mode = layer, layered
	}
	if err := m.mount(folder, mode); err != nil {
		return fmt.Errorf("mounting the root file system: %w", err)
	}
	if err := m.forbidServices(); err != nil {
		return err
	}
	m.serveMetadata()
	if err := m.guestAgent(); err != nil {
		return err
	}
	return m.serveSSH()
}

// guestAgent makes the users' logins and the host keys. What fails is said,
// and does not stop the rest: a guest agent cannot stop a boot.
func (m *Machine) guestAgent() error {
	for _, login := range slices.Sorted(maps.Keys(m.spec.Users)) {
		args := m.inside(nil, []string{guestPath}, "/bin/sh", "-c", loginScript, "sh", login, m.spec.Users[login])
		if err := m.try("google-guest-agent: login "+login, args...); err != nil {
			return err
		}
	}
	if has, err := m.hasHostKeys(); has || err != nil {
		return err
	}
	return m.try("ssh-keygen -A", m.inside(nil, []string{guestPath}, "/usr/bin/ssh-keygen", "-A")...)
}

func (m *Machine) serveSSH() error {
	return m.init.start("sshd", m.inside(nil, []string{guestPath}, "/usr/sbin/sshd", "-D", "-e",
		"-o", "ListenAddress="+m.spec.Address, "-p", fmt.Sprint(m.spec.SSHPort))...)
}

// try runs a program whose failure is said on the console and is no reason to stop.
func (m *Machine) try(what string, args ...string) error {
	err := m.init.run(args...)
	if err != nil && !errors.Is(err, errEnded) {
		m.say("%s: %v", what, err)
		return nil
	}
	return err
}

func (m *Machine) hasHostKeys() (bool, error) {
	return m.asks(`ls /etc/ssh/ssh_host_*_key >/dev/null 2>&1`)
}

// asks runs a shell's script in the image; one that has no shell answers no.
func (m *Machine) asks(script string, args ...string) (bool, error) {
	err := m.init.run(m.inside(nil, []string{guestPath}, append([]string{"/bin/sh", "-c", script, "sh"}, args...)...)...)
	if errors.Is(err, errEnded) {
		return false, err
	}
	return err == nil, nil
}

// policyFile is asked by Debian's maintainer scripts before they start a
// service. There is no systemd in a chroot, and init scripts would run.
const policyFile = "usr/sbin/policy-rc.d"

// policy says "action forbidden by policy".
const policy = "#!/bin/sh\n" +
	"# No package starts a service in the rehearsal's VMs. Capture leaves this file out.\nexit 101\n"

// forbidServices leaves the policy in a root file system that has none of its own.
func (m *Machine) forbidServices() error {
	_, err := m.asks(`[ -d "${1%/*}" ] && [ ! -e "$1" ] && [ ! -L "$1" ] && printf %s "$2" >"$1" && chmod 755 "$1"`,
		"/"+policyFile, policy)
	return err
}

// allowServices takes away what forbidServices left.
func allowServices(disk string) error {
	return inDisk(disk, func(root *os.Root) error {
		text, err := root.ReadFile(policyFile)
		if err != nil || string(text) != policy {
			return nil //nolint:nilerr // not ours
		}
		return root.Remove(policyFile)
	})
}

func inDisk(disk string, do func(*os.Root) error) error {
	root, err := os.OpenRoot(disk)
	if err != nil {
		return err
	}
	return errors.Join(do(root), root.Close())
}
