// Package child runs programs that are of no use without us.
//
// Its promise, on Linux: when this process ends, kill -9 included, the kernel
// sends such a program the signal that it was given.
package child

import (
	"os/exec"
	"runtime"
	"sync"
	"syscall"
)

// Run is cmd.Run for a program that gets the signal when this process ends.
func Run(cmd *exec.Cmd, signal syscall.Signal) error {
	wait, err := Start(cmd, signal)
	if err != nil {
		return err
	}
	return wait()
}

// Start is cmd.Start for such a program; wait is its cmd.Wait, and may be called
// again. The kernel sends the signal when the thread ends that started the
// program, so that thread is kept until the program has ended.
func Start(cmd *exec.Cmd, signal syscall.Signal) (wait func() error, err error) {
	endWithUs(cmd, signal)
	started, ended := make(chan error, 1), make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return sync.OnceValue(func() error { return <-ended }), nil
}
