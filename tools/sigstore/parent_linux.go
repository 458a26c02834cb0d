package main

import "syscall"

// endWithParent has the kernel end the child when this process dies, even by SIGKILL.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM} }
