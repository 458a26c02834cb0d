package chroot

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
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

// finish runs cmd to its end; it dies with ctx and with this process.
func finish(ctx context.Context, cmd *exec.Cmd, w io.Writer) error {
	// Pdeathsig fires when the starting thread ends, not the program: keep it.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var said tail
	cmd.Stdout, cmd.Stderr = w, &said
	if w == nil {
		cmd.Stdout = &said
	}
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(cmd.Path), err, said.String())
}

// command is a program in namespaces, not started yet.
func (r *runner) command(ctx context.Context, namespaces []string, args ...string) *exec.Cmd {
	if wrap := append(append([]string{}, r.user...), namespaces...); len(wrap) > 0 {
		args = append(append([]string{"unshare"}, wrap...), args...)
	}
	cmd := exec.CommandContext(ctx, find(args[0]), args[1:]...)
	cmd.Env = []string{"PATH=" + searchPath, "LC_ALL=C.UTF-8"}
	confine(cmd)
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

// tail keeps the last of what a program said.
type tail struct{ kept []byte }

const tailSize = 2 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.kept = append(t.kept, p...)
	if over := len(t.kept) - tailSize; over > 0 {
		t.kept = append([]byte{}, t.kept[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.kept)) }
