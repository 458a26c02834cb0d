package chroot

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
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
	if err := forbidServices(m.spec.Disk); err != nil {
		return err
	}
	if err := m.mount(m.spec.Disk, writable); err != nil {
		return fmt.Errorf("mounting the root file system: %w", err)
	}
	m.serveMetadata()
	if err := m.guestAgent(m.spec.Disk); err != nil {
		return err
	}
	return m.serveSSH()
}

// guestAgent makes the users' logins and the host keys. What fails is said,
// and does not stop the rest: a guest agent cannot stop a boot.
func (m *Machine) guestAgent(disk string) error {
	for _, login := range slices.Sorted(maps.Keys(m.spec.Users)) {
		args := m.inside(nil, []string{guestPath}, "/bin/sh", "-c", loginScript, "sh", login, m.spec.Users[login])
		if err := m.try("google-guest-agent: login "+login, args...); err != nil {
			return err
		}
	}
	if hasHostKeys(disk) {
		return nil
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

func hasHostKeys(disk string) bool {
	found, err := fs.Glob(os.DirFS(disk), "etc/ssh/ssh_host_*_key")
	return err == nil && len(found) > 0
}

// policyFile is asked by Debian's maintainer scripts before they start a
// service. There is no systemd in a chroot, and init scripts would run.
const policyFile = "usr/sbin/policy-rc.d"

// policy says "action forbidden by policy".
const policy = "#!/bin/sh\n" +
	"# No package starts a service in the rehearsal's VMs. Capture leaves this file out.\nexit 101\n"

// forbidServices leaves the policy of a disk that has its own.
func forbidServices(disk string) error {
	return inDisk(disk, func(root *os.Root) error {
		f, err := root.OpenFile(policyFile, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755)
		if errors.Is(err, fs.ErrExist) || errors.Is(err, fs.ErrNotExist) {
			return nil // it has its own, or it is no Debian
		}
		if err != nil {
			return err
		}
		_, err = f.WriteString(policy)
		return errors.Join(err, f.Chmod(0o755), f.Close())
	})
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
