package dstack

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/rehearsal/process"
)

// exec runs the process in its root file system and in a process group of its
// own, which is killed when ctx ends, when its leader ends, and (Pdeathsig)
// when this program dies.
func (p *entryPoint) exec(ctx context.Context, listener, log *os.File, started func()) error {
	// Pdeathsig fires when the starting thread ends, not the program: keep it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd, err := p.start(ctx, listener, log)
	if err != nil {
		return p.explain(err)
	}
	started()
	err = cmd.Wait()
	return errors.Join(err, process.KillGroup(cmd))
}

// start tries again while the entry point is busy: a sibling that was forked
// while this image was being unpacked holds the file open for writing until it
// execs (https://go.dev/issue/22315).
func (p *entryPoint) start(ctx context.Context, listener, log *os.File) (*exec.Cmd, error) {
	for {
		cmd := p.command(ctx, listener, log)
		if err := cmd.Start(); !errors.Is(err, syscall.ETXTBSY) {
			return cmd, err
		}
		if err := retry.For(ctx, 5*time.Millisecond); err != nil {
			return nil, err
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

func (p *entryPoint) explain(err error) error {
	if os.Geteuid() != 0 && errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("%w: to run a released image the rehearsal needs root, or user namespaces for everyone "+
			"(sysctl kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0)", err)
	}
	return err
}
