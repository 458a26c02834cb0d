//go:build !linux

package machine

import "os/exec"

func confine(*exec.Cmd) {}

// supported is false where there are no namespaces: newRunner refuses.
const supported = false
