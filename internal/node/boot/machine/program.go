package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"sync"
	"syscall"

	"github.com/calimero-network/mero-tee/internal/base/child"
)

// running is a program that was started, and ends with this one.
type running struct {
	cmd   *exec.Cmd
	said  *tail
	err   error
	ended chan struct{}
}

// start starts a program. What it says is kept for its error.
func start(ctx context.Context, program string, args ...string) (*running, error) {
	r := &running{cmd: exec.CommandContext(ctx, program, args...), said: &tail{}, ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = r.said, r.said
	wait, err := child.Start(r.cmd, syscall.SIGKILL)
	if err != nil {
		return nil, err
	}
	go func() {
		r.err = wait()
		close(r.ended)
	}()
	return r, nil
}

// wait is for the program's end.
func (r *running) wait() error {
	<-r.ended
	if r.err != nil {
		return fmt.Errorf("%w: %s", r.err, strings.TrimSpace(r.said.String()))
	}
	return nil
}

func (r *running) kill() {
	_ = r.cmd.Process.Kill() // it may have ended
	<-r.ended
}

// tail keeps the end of what a program says.
type tail struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// maxTail is how much of it, in bytes.
const maxTail = 4 << 10

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b.Write(p)
	if over := t.b.Len() - maxTail; over > 0 {
		_, _ = io.CopyN(io.Discard, &t.b, int64(over)) // from memory
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.b.String()
}
