// Package child runs programs that are of no use without us.
//
// Its promise, on Linux: when this process ends, kill -9 included, the kernel
// sends such a program the signal that it was given.
package child

import (
	"os/exec"
	"runtime"
	"syscall"
)

// Run is cmd.Run for a program that gets the signal when this process ends. The
// kernel sends it when the thread ends that started the program, so that thread is kept until then.
func Run(cmd *exec.Cmd, signal syscall.Signal) error {
	endWithUs(cmd, signal)
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		done <- cmd.Run()
	}()
	return <-done
}
