//go:build !linux

package process

import "os/exec"

// Confine does nothing: what needs it runs on Linux only.
func Confine(*exec.Cmd) {}
