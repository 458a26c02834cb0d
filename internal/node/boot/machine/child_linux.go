package machine

import (
	"os/exec"
	"syscall"
)

// confine has the kernel kill cmd when the thread that starts it ends.
func confine(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
