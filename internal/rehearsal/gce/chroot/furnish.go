package chroot

import (
	_ "embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

//go:embed mounts.sh
var mountScript string

// What the platform gives the machine is in /run/platform.
const (
	certificateFile = "/run/platform/ca.pem"
	tsmSocket       = "/run/platform/tsm.sock"
)

// eventLog is below /sys.
const eventLog = "firmware/acpi/tables/data/CCEL"

// furnish writes what the mount script lays over the root file system.
func (m *Machine) furnish() error {
	for _, dir := range []string{"root", "sys", "run", "etc"} {
		if err := os.MkdirAll(filepath.Join(m.dir, dir), 0o755); err != nil {
			return err
		}
	}
	names, err := os.ReadFile("/etc/resolv.conf")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for name, contents := range map[string][]byte{
		"etc/resolv.conf": names,
		"etc/hosts":       []byte(m.hosts()),
		"run/ca.pem":      m.host.options.Proxy.CertificatePEM,
	} {
		if err := publish(filepath.Join(m.dir, name), contents); err != nil {
			return err
		}
	}
	return os.Chmod(m.dir, 0o755) //nolint:gosec // the machine's users read through it
}

// hosts knows the machine's own name and its metadata server's.
func (m *Machine) hosts() string {
	out := "127.0.0.1 localhost\n127.0.1.1 " + m.spec.Name + "\n"
	if m.spec.Address != "" {
		out += m.spec.Address + " metadata.google.internal metadata\n"
	}
	return out
}

// publish writes a file that every user of the machine may read, whatever the umask.
func publish(name string, contents []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(name, contents, 0o644); err != nil {
		return err
	}
	return os.Chmod(name, 0o644) //nolint:gosec // nothing secret is published
}

// say writes to the machine's console; one that has ended says nothing any more.
func (m *Machine) say(format string, args ...any) {
	_ = m.init.say(fmt.Sprintf(format, args...))
}

// mount makes the folder the machine's root file system.
func (m *Machine) mount(folder, mode string) error {
	return m.init.run("sh", "-c", mountScript, "sh", folder, m.root(), mode, m.dir, m.spec.Name)
}

// root is where the root file system is mounted, in the machine's mount namespace only.
func (m *Machine) root() string { return filepath.Join(m.dir, "root") }

// inside is a program of the image with exactly this environment, run by the
// account; nil is root.
func (m *Machine) inside(a *account, env []string, args ...string) []string {
	out := append([]string{"env", "-i"}, env...)
	out = append(out, find("chroot"))
	if a != nil {
		out = append(out, a.chroot()...)
	}
	return append(append(out, m.root()), args...)
}
