//go:build !linux

package main

import "syscall"

// endWithParent: only Linux ends a child with its parent; elsewhere a SIGKILL of this process leaves the child.
func endWithParent() *syscall.SysProcAttr { return nil }
