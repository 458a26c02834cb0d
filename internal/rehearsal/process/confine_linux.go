package process

import (
	"errors"
	"os/exec"
	"syscall"
)

// Confine puts cmd into a process group of its own, which is killed when cmd's
// context ends. Package child has it end with us.
func Confine(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	cmd.Cancel = func() error { return KillGroup(cmd) }
}

// KillGroup kills what is left of the group of a program that was started.
func KillGroup(cmd *exec.Cmd) error {
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}
