package chroot

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/bootchain"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/systemd"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// bootConfidential measures, verifies, mounts and runs, in the order of real hardware.
func (m *Machine) bootConfidential() error {
	disk, err := openDisk(m.spec.Disk)
	if err != nil {
		return err
	}
	td, folder, err := m.loadKernel(disk)
	if err := errors.Join(err, disk.file.Close()); err != nil {
		return err
	}
	if err := m.serveTSM(td, folder); err != nil {
		return err
	}
	if err := m.mount(folder, mode(disk.Boot())); err != nil {
		return fmt.Errorf("mounting the root file system: %w", err)
	}
	m.serveMetadata()
	return m.bringUp(folder)
}

// loadKernel is the boot up to the root file system.
func (m *Machine) loadKernel(disk *rawDisk) (*tdxsim.TD, string, error) {
	td, err := m.measure(disk.Boot())
	if err != nil {
		return nil, "", err
	}
	m.say("Command line: %s", disk.Boot().CommandLine)
	folder, err := m.host.roots.open(m.ctx, disk)
	return td, folder, err
}

// measure makes the TD and leaves the event log where the guest finds it.
func (m *Machine) measure(boot *measuredboot.Boot) (*tdxsim.TD, error) {
	events, faults := boot.Log(), m.host.options.Faults
	if faults.Drift {
		text := fmt.Appendf(nil, "boot %d of this host", m.host.number())
		events = append(events, tdx.Event{RTMR: 2, Type: tdx.BootLoaderEvent, Digest: sha512.Sum384(text), Payload: text})
	}
	td, log, err := bootchain.C3().Boot(m.host.options.TDX, events, faults.TD...)
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
		return m.admit(root)
	})
}

// admit starts sshd where the image enables it, and before that Google's guest
// agent where the image does not mask it.
func (m *Machine) admit(image *os.Root) error {
	for _, name := range []string{"ssh.service", "ssh.socket"} {
		on, err := systemd.Enabled(image, name)
		if err != nil {
			return err
		}
		if !on {
			continue
		}
		if !systemd.Masked(image, "google-guest-agent.service") {
			if err := m.guestAgent(); err != nil {
				return err
			}
		}
		return m.serveSSH()
	}
	m.say("no sshd: the image enables none")
	return nil
}
