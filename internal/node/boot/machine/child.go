package machine

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
)

// child is a program that ends with this one.
type child struct {
	cmd   *exec.Cmd
	said  *tail
	err   error
	ended chan struct{}
}

// start starts a program. What it says is kept for its error.
func start(ctx context.Context, program string, args ...string) (*child, error) {
	c := &child{cmd: exec.CommandContext(ctx, program, args...), said: &tail{}, ended: make(chan struct{})}
	c.cmd.Stdout, c.cmd.Stderr = c.said, c.said
	confine(c.cmd)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // what dies with its parent dies with the thread that started it
		defer runtime.UnlockOSThread()
		defer close(c.ended)
		err := c.cmd.Start()
		started <- err
		if err == nil {
			c.err = c.cmd.Wait()
		}
	}()
	return c, <-started
}

// wait is for the program's end.
func (c *child) wait() error {
	<-c.ended
	if c.err != nil {
		return fmt.Errorf("%w: %s", c.err, strings.TrimSpace(c.said.String()))
	}
	return nil
}

func (c *child) kill() {
	if c.cmd.Process != nil {
		_ = c.cmd.Process.Kill() // it may have ended
		<-c.ended
	}
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
