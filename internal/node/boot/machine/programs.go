package machine

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Programs are what a machine is made with, as files.
type Programs struct {
	QEMU, TPM, TPMSetup string
	Firmware, Variables string // OVMF, without Secure Boot
}

// Find looks for the programs, and names Debian's packages of those that are not there.
func Find() (Programs, []string) {
	var p Programs
	var missing []string
	look := func(program, pkg string) string {
		path, err := exec.LookPath(program)
		if err != nil {
			missing = append(missing, pkg)
		}
		return path
	}
	p.QEMU = look("qemu-system-x86_64", "qemu-system-x86")
	p.TPM = look("swtpm", "swtpm")
	p.TPMSetup = look("swtpm_setup", "swtpm-tools")
	for _, size := range []string{"_4M", ""} {
		code, vars := "/usr/share/OVMF/OVMF_CODE"+size+".fd", "/usr/share/OVMF/OVMF_VARS"+size+".fd"
		if p.Firmware == "" && exists(code) && exists(vars) {
			p.Firmware, p.Variables = code, vars
		}
	}
	if p.Firmware == "" {
		missing = append(missing, "ovmf")
	}
	slices.Sort(missing)
	return p, slices.Compact(missing)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// probation is how long firmware may take to its first measurement under KVM;
// it takes less than a second where KVM works.
const probation = 6 * time.Second

// KVM says in words why it cannot be used, nothing when it can. That /dev/kvm
// opens is not enough: there are hosts whose KVM cannot run firmware, so that a
// machine without a disk is tried.
func (p Programs) KVM(ctx context.Context, folder string) string {
	f, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return strings.TrimPrefix(err.Error(), "open ")
	}
	_ = f.Close() // nothing was written
	dir := filepath.Join(folder, "kvm")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err.Error()
	}
	ctx, stop := context.WithTimeout(ctx, probation)
	defer stop()
	m, err := Start(ctx, Config{Programs: p, KVM: true, Folder: dir})
	if err != nil {
		first, _, _ := strings.Cut(err.Error(), "\n")
		return first
	}
	defer m.Close()
	for m.Ended() == nil {
		if running, err := m.Running(); err != nil || !running {
			return "it cannot run the firmware"
		}
		if boots, err := m.Measured(); err == nil && len(boots) > 0 && len(boots[0]) > 0 {
			return ""
		}
		select {
		case <-ctx.Done():
			return "the firmware does not start under it"
		case <-time.After(100 * time.Millisecond):
		}
	}
	first, _, _ := strings.Cut(m.Ended().Error(), "\n")
	return first
}
