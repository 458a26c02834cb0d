package packer

import "syscall"

// ownGroup: an interrupt at the terminal reaches this process alone, which
// then asks Packer to stop; when this process dies, the kernel asks it. Packer
// runs as a wrapper and the real one: the wrapper hands SIGTERM on, and no SIGINT.
func ownGroup() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
}
