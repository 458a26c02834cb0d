package dstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/rehearsal/process"
)

// exec runs the process in its root file system and in a process group of its
// own, which is killed when ctx ends, when its leader ends, and when this
// program dies.
func (p *entryPoint) exec(ctx context.Context, listener, log *os.File, started func()) error {
	cmd, wait, err := p.start(ctx, listener, log)
	if err != nil {
		return p.explain(err)
	}
	started()
	err = wait()
	return errors.Join(err, process.KillGroup(cmd))
}

// start tries again while the entry point is busy: a sibling that was forked
// while this image was being unpacked holds the file open for writing until it
// execs (https://go.dev/issue/22315).
func (p *entryPoint) start(ctx context.Context, listener, log *os.File) (*exec.Cmd, func() error, error) {
	for {
		cmd := p.command(ctx, listener, log)
		wait, err := child.Start(cmd, syscall.SIGKILL)
		if !errors.Is(err, syscall.ETXTBSY) {
			return cmd, wait, err
		}
		if err := retry.For(ctx, 5*time.Millisecond); err != nil {
			return nil, nil, err
		}
	}
}

func (p *entryPoint) command(ctx context.Context, listener, log *os.File) *exec.Cmd {
	cmd := exec.CommandContext(ctx, p.args[0], p.args[1:]...) //nolint:gosec // the image that was deployed is what runs
	cmd.Env, cmd.Dir = p.env, p.dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.ExtraFiles = []*os.File{listener}
	cmd.SysProcAttr = p.confinement()
	process.Confine(cmd)
	return cmd
}

// confinement is chroot and the image's user. Who is not root gets both in a
// user namespace, where the image's user is the caller.
func (p *entryPoint) confinement() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{
		Chroot:     p.root,
		Credential: &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(p.gid)}, //nolint:gosec // never negative
	}
	if os.Geteuid() != 0 {
		a.Credential.NoSetGroups = true
		a.Cloneflags = syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: p.uid, HostID: os.Geteuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: p.gid, HostID: os.Getegid(), Size: 1}}
	}
	return a
}

// explain says of an error of the kernel's what it is about: without user
// namespaces it is "permission denied", or "no space left on device" where none is free.
func (p *entryPoint) explain(err error) error {
	if os.Geteuid() != 0 && (errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.ENOSPC) ||
		errors.Is(err, syscall.EUSERS)) {
		return noNamespaces(err)
	}
	return err
}

func noNamespaces(err error) error {
	return &fault.Error{Code: fault.General, Message: "this machine gives the rehearsal's applications no user namespaces",
		Err: err, Expected: "a released image runs in its own root folder, as its own user", Got: "a refusal of the kernel's",
		Hint: "run as root; or allow user namespaces for everyone (sysctl user.max_user_namespaces above 0, " +
			"kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)"}
}

// Able says whether this machine can run what is released: it runs a program
// that does nothing, confined as an application is.
func Able(ctx context.Context) error {
	program, err := exec.LookPath("true")
	if err != nil {
		return fmt.Errorf("a program to try: %w", err)
	}
	p := &entryPoint{root: "/", dir: "/", args: []string{program}, uid: 65532, gid: 65532}
	cmd := exec.CommandContext(ctx, program)
	cmd.SysProcAttr = p.confinement()
	return p.explain(child.Run(cmd, syscall.SIGKILL))
}
