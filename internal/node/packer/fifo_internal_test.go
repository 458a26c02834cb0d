package packer

import "syscall"

// mkfifo makes what a script can wait at without a sleep.
func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }
