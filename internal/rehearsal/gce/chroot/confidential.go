package chroot

import (
	"crypto/sha512"
	"fmt"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/systemd"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// bootConfidential measures, verifies, mounts and runs, in the order of real hardware.
func (m *Machine) bootConfidential() error {
	td, err := m.measure()
	if err != nil {
		return err
	}
	folder, mode, err := m.rootFileSystem()
	if err != nil {
		return err
	}
	if err := m.serveTSM(td, folder); err != nil {
		return err
	}
	if err := m.mount(folder, mode); err != nil {
		return fmt.Errorf("mounting the root file system: %w", err)
	}
	m.serveMetadata()
	return m.bringUp(folder)
}

// measure makes the TD and leaves the event log where the guest finds it.
func (m *Machine) measure() (*tdxsim.TD, error) {
	events, err := Measure(m.spec.Disk)
	if err != nil {
		return nil, err
	}
	faults := m.host.options.Faults
	if faults.Drift {
		events = append(events, bootchain.Event{RTMR: 2, Text: fmt.Sprintf("boot %d of this host", m.host.number())})
	}
	td, log, err := events.Boot(m.host.options.TDX, faults.TD...)
	if err != nil {
		return nil, err
	}
	if faults.Unlogged {
		if err := td.Extend(2, sha512.Sum384([]byte("not in the log"))); err != nil {
			return nil, err
		}
	}
	return td, file.Write(filepath.Join(m.dir, "sys", eventLog), log.CCEL(), 0o644)
}

func (h *Host) number() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.boots++
	return h.boots
}

// rootFileSystem is the verified root, read-only, where the command line asks
// for one; else the disk itself.
func (m *Machine) rootFileSystem() (folder, mode string, err error) {
	line, err := CommandLine(m.spec.Disk)
	if err != nil {
		return "", "", err
	}
	m.say("Command line: %s", line)
	v, err := parseVerity(line)
	if err != nil || v == nil {
		return m.spec.Disk, "rw", err
	}
	folder, err = m.host.roots.open(m.ctx, m.spec.Disk, v)
	return folder, "ro", err
}

// bringUp runs what the image enables.
func (m *Machine) bringUp(folder string) error {
	return inDisk(folder, func(root *os.Root) error {
		services, err := systemd.Services(root)
		if err != nil {
			return err
		}
		if err := m.runServices(root, services); err != nil {
			return err
		}
		if m.spec.SSHPort == 0 {
			return nil
		}
		return m.admit(root, folder)
	})
}

// admit starts sshd where the image enables it, and before that Google's guest
// agent where the image does not mask it.
func (m *Machine) admit(image *os.Root, folder string) error {
	for _, name := range []string{"ssh.service", "ssh.socket"} {
		on, err := systemd.Enabled(image, name)
		if err != nil {
			return err
		}
		if !on {
			continue
		}
		if !systemd.Masked(image, "google-guest-agent.service") {
			if err := m.guestAgent(folder); err != nil {
				return err
			}
		}
		return m.serveSSH()
	}
	m.say("no sshd: the image enables none")
	return nil
}
