package chroot

import (
	"os/exec"
	"syscall"
)

// confine puts cmd into a process group of its own, which is killed when its
// context ends, and (Pdeathsig) lets it die with the thread that starts it.
func confine(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

const supported = true
