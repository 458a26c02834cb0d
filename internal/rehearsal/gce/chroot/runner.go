package chroot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"

	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal/process"
)

// searchPath is where Debian and Ubuntu have programs, whatever the caller's PATH.
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// runner starts outside programs: as root, or as the root of a user namespace
// in which this user's subordinate ids are mapped.
type runner struct {
	user []string // arguments of unshare; none for root
}

// fences are the namespaces of a program that nothing may outlive or leave.
func fences() []string {
	return []string{"--mount", "--pid", "--uts", "--ipc", "--fork", "--kill-child"}
}

// run executes a program to its end.
func (r *runner) run(ctx context.Context, args ...string) error {
	return r.stream(ctx, nil, args...)
}

// stream is run with the program's standard output going to w.
func (r *runner) stream(ctx context.Context, w io.Writer, args ...string) error {
	return finish(ctx, r.command(ctx, nil, args...), w)
}

// fenced is run for a program that mounts, and starts others.
func (r *runner) fenced(ctx context.Context, args ...string) error {
	return finish(ctx, r.command(ctx, append(fences(), "--mount-proc"), args...), nil)
}

// finish runs cmd to its end; it dies with ctx and with this process. What it
// started does not outlive its failure: unshare, when it cannot set up what was
// asked for, leaves its child waiting.
func finish(ctx context.Context, cmd *exec.Cmd, w io.Writer) error {
	var output tail
	cmd.Stdout, cmd.Stderr = w, &output
	if w == nil {
		cmd.Stdout = &output
	}
	err := child.Run(cmd, syscall.SIGKILL)
	if err == nil {
		return nil
	}
	if cmd.Process != nil {
		err = errors.Join(err, process.KillGroup(cmd))
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, output.String())
}

// command is a program in namespaces, not started yet.
func (r *runner) command(ctx context.Context, namespaces []string, args ...string) *exec.Cmd {
	if wrap := append(append([]string{}, r.user...), namespaces...); len(wrap) > 0 {
		args = append(append([]string{"unshare"}, wrap...), args...)
	}
	cmd := exec.CommandContext(ctx, find(args[0]), args[1:]...)
	cmd.Env = []string{"PATH=" + searchPath, "LC_ALL=C.UTF-8"}
	process.Confine(cmd)
	return cmd
}

// find looks a program up in searchPath; one that is not there fails by its name when it is started.
func find(name string) string {
	for _, dir := range strings.Split(searchPath, ":") {
		if info, err := os.Stat(dir + "/" + name); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return dir + "/" + name
		}
	}
	return name
}

// tail is the end of a program's output.
type tail struct{ bytes []byte }

const tailSize = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.bytes = append(t.bytes, p...)
	if over := len(t.bytes) - tailSize; over > 0 {
		t.bytes = append([]byte{}, t.bytes[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.bytes)) }

// program is an outside program and the Debian package that has it.
type program struct{ name, pkg string }

// forNamespaces are the programs that make namespaces.
func forNamespaces() []program {
	out := []program{{"unshare", "util-linux"}, {"mount", "mount"}, {"sh", "dash"},
		{"chroot", "coreutils"}, {"env", "coreutils"}}
	if os.Geteuid() != 0 {
		out = append(out, program{"newuidmap", "uidmap"}, program{"newgidmap", "uidmap"})
	}
	return out
}

// newRunner looks whether this machine can start what the package needs, before anything is.
func newRunner(ctx context.Context, needed ...program) (*runner, error) {
	if runtime.GOOS != "linux" {
		return nil, &fault.Error{Code: fault.General, Message: "the rehearsal's VMs run on Linux only",
			Expected: "linux", Got: runtime.GOOS}
	}
	if err := look(append(forNamespaces(), needed...)); err != nil {
		return nil, err
	}
	r := &runner{}
	if os.Geteuid() != 0 {
		r.user = []string{"--user", "--map-root-user", "--map-auto"}
	}
	return r, r.probe(ctx)
}

// look finds every program or names the packages to install.
func look(needed []program) error {
	var missing, packages []string
	for _, p := range needed {
		if !filepath.IsAbs(find(p.name)) {
			missing, packages = append(missing, p.name), append(packages, p.pkg)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return &fault.Error{Code: fault.General, Message: "the rehearsal's VMs need " + strings.Join(missing, ", "),
		Expected: "in " + searchPath, Hint: "apt-get install " + strings.Join(packages, " ")}
}

// probe makes the namespaces of a VM once, with another user in it and a mount.
func (r *runner) probe(ctx context.Context) error {
	err := finish(ctx, r.command(ctx, fences(), "sh", "-c",
		"mount -t proc proc /proc && exec chroot --userspec=65534:65534 / true"), nil)
	if err == nil {
		return nil
	}
	f := &fault.Error{Code: fault.General, Message: "this machine gives the rehearsal's VMs no namespaces", Err: err,
		Hint: "run as root on the machine itself, or in a container with CAP_SYS_ADMIN"}
	if os.Geteuid() != 0 {
		f.Hint = fmt.Sprintf("run as root; or give user %d ids of its own in /etc/subuid and /etc/subgid "+
			"(usermod --add-subuids 100000-165535 --add-subgids 100000-165535), "+
			"allow user namespaces (sysctl kernel.apparmor_restrict_unprivileged_userns=0), "+
			"and have util-linux 2.38 or newer", os.Geteuid())
	}
	return f
}
