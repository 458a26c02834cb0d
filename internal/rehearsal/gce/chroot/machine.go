package chroot

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
)

//go:embed mounts.sh
var mountScript string

// Spec is one machine to boot.
type Spec struct {
	Name         string
	Disk         string            // the boot disk: a raw file, to which nothing is written, or a folder
	Devices      map[string]string // raw files of the other disks, by device name
	Confidential bool              // a TDX VM
	// Users are logins with their authorized_keys.
	Users    map[string]string
	Address  string    // that sshd listens on
	SSHPort  int       // of sshd
	Metadata string    // "host:port" of the instance's metadata server
	Serial   io.Writer // the first serial port; nil: nobody reads it
}

// Machine is one that was booted.
type Machine struct {
	host   *Host
	spec   Spec
	dir    string // its run folder
	init   *initProcess
	after  []func() error  // once it has ended
	ctx    context.Context // ends with Stop
	cancel context.CancelFunc
	done   chan struct{}
	err    error // set before done is closed
}

var (
	nameForm   = regexp.MustCompile(`^[a-z][-a-z0-9]{0,62}$`)
	loginForm  = regexp.MustCompile(`^[a-z_][-a-z0-9_]{0,31}$`)
	deviceForm = regexp.MustCompile(`^[a-z0-9][-_a-z0-9]{0,62}$`)
)

func (h *Host) check(s Spec) error {
	if !nameForm.MatchString(s.Name) {
		return fmt.Errorf("%q is no name of an instance", s.Name)
	}
	for login := range s.Users {
		if !loginForm.MatchString(login) {
			return fmt.Errorf("%q is no login", login)
		}
	}
	if s.Confidential && h.options.TDX == nil {
		return errors.New("this host has no TDX")
	}
	for name := range s.Devices {
		if !deviceForm.MatchString(name) {
			return fmt.Errorf("%q is no name of a device", name)
		}
	}
	_, err := os.Stat(s.Disk)
	return err
}

// Boot starts a machine, which lives until Stop. What is wrong with its disk is
// written to the serial port, and the machine exists all the same, as in a cloud.
func (h *Host) Boot(ctx context.Context, s Spec) (*Machine, error) {
	if err := errors.Join(ctx.Err(), h.check(s)); err != nil {
		return nil, fmt.Errorf("booting %s: %w", s.Name, err)
	}
	m := &Machine{host: h, spec: s, done: make(chan struct{})}
	m.ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	if err := m.start(); err != nil {
		m.cancel()
		return nil, fmt.Errorf("booting %s: %w", s.Name, errors.Join(err, os.RemoveAll(m.dir)))
	}
	h.mu.Lock()
	h.machines[m] = true
	h.mu.Unlock()
	go m.live()
	return m, nil
}

// start makes the run folder and process 1.
func (m *Machine) start() (err error) {
	if m.spec.Disk, err = filepath.Abs(m.spec.Disk); err != nil {
		return err
	}
	m.spec.Devices = maps.Clone(m.spec.Devices)
	for name, path := range m.spec.Devices {
		if m.spec.Devices[name], err = filepath.Abs(path); err != nil {
			return err
		}
	}
	if m.dir, err = os.MkdirTemp(m.host.dir, m.spec.Name+"-"); err != nil {
		return err
	}
	if err = m.writeFiles(); err != nil {
		return err
	}
	m.init, err = m.host.runner.startInit(m.spec.Serial)
	return err
}

// live is the whole life of the machine.
func (m *Machine) live() {
	boot := m.bootOrdinary
	if m.spec.Confidential {
		boot = m.bootConfidential
	}
	if err := boot(); err != nil && m.ctx.Err() == nil && !errors.Is(err, errEnded) {
		m.say("Kernel panic - not syncing: %v", err)
	}
	<-m.init.ended
	m.cancel()
	for _, f := range m.after {
		m.err = errors.Join(m.err, f())
	}
	m.err = errors.Join(m.err, os.RemoveAll(m.dir))
	m.host.mu.Lock()
	delete(m.host.machines, m)
	m.host.mu.Unlock()
	close(m.done)
}

// afterwards has f called once the machine has ended. Only live's goroutine may ask.
func (m *Machine) afterwards(f func() error) { m.after = append(m.after, f) }

// Stop kills everything in the machine and returns when nothing of it is left.
func (m *Machine) Stop() error {
	m.cancel()
	err := m.init.kill()
	<-m.done
	return errors.Join(err, m.err)
}

// Done is closed when nothing of the machine is left.
func (m *Machine) Done() <-chan struct{} { return m.done }

// say writes a line to the machine's console, if the machine has not ended.
func (m *Machine) say(format string, args ...any) {
	_ = m.init.say(fmt.Sprintf(format, args...))
}

// mount makes the folder the machine's root file system.
func (m *Machine) mount(folder, mode string) error {
	args := []string{"sh", "-c", overlayFunction + mountScript, "sh", folder, m.root(), mode, m.dir, m.spec.Name}
	for _, name := range slices.Sorted(maps.Keys(m.spec.Devices)) {
		args = append(args, name, m.spec.Devices[name])
	}
	return m.init.run(args...)
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
