package dev

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const defaultFuzzSeconds = 10

var (
	fuzzFunction = regexp.MustCompile(`(?m)^func (Fuzz\w*)\(\w+ \*testing\.F\)`)
	executions   = regexp.MustCompile(`execs: (\d+)`)
)

// target is a fuzz target of a package.
type target struct{ pkg, name string }

// Fuzz runs every fuzz target of the module in dir for the given time each, as
// many beside each other as there are cores. It goes on after a find; the error
// has all of them.
func Fuzz(ctx context.Context, w io.Writer, dir string, seconds *int) error {
	each := defaultFuzzSeconds
	if seconds != nil {
		each = *seconds
	}
	if each < 1 {
		return &fault.Error{Code: fault.Usage, Message: "fuzzing for no time finds nothing", Expected: "-seconds=1 or more",
			Got: fmt.Sprintf("-seconds=%d", each)}
	}
	targets, err := fuzzTargets(ctx, dir)
	if err != nil {
		return err
	}
	var running errgroup.Group
	running.SetLimit(runtime.NumCPU())
	var lock sync.Mutex
	var found []error
	for _, t := range targets {
		running.Go(func() error {
			said, err := t.fuzz(ctx, dir, each)
			if ctx.Err() != nil { // somebody has stopped all of them, which says nothing of any
				return ctx.Err()
			}
			lock.Lock()
			defer lock.Unlock()
			found = append(found, t.report(w, said, err))
			return nil
		})
	}
	err = running.Wait()
	return errors.Join(append(found, err)...)
}

func fuzzTargets(ctx context.Context, dir string) (targets []target, err error) {
	err = testSources(ctx, dir, func(pkg, _ string, source []byte) error {
		for _, m := range fuzzFunction.FindAllSubmatch(source, -1) {
			targets = append(targets, target{pkg, string(m[1])})
		}
		return nil
	})
	if err == nil && len(targets) == 0 {
		err = &fault.Error{Code: fault.General, Message: "there is no fuzz target in " + dir,
			Expected: "functions Fuzz… of tests", Got: "none"}
	}
	return targets, err
}

// fuzz is what the go command said. It uses one core: the others have targets of their own.
func (t target) fuzz(ctx context.Context, dir string, seconds int) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-run=^$", "-fuzz=^"+t.name+"$", "-parallel=1", "-fuzzminimizetime=1x",
		fmt.Sprintf("-fuzztime=%ds", seconds), t.pkg)
	var said bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go ends the test, then itself
	cmd.WaitDelay = 10 * time.Second
	err := child.Run(cmd, syscall.SIGINT)
	return said.Bytes(), err
}

// report prints a line for a target, and what the go command said if something was found.
func (t target) report(w io.Writer, said []byte, err error) error {
	runs := "0"
	if m := executions.FindAllSubmatch(said, -1); len(m) > 0 {
		runs = string(m[len(m)-1][1])
	}
	switch {
	case err == nil && runs == "0": // what is known already took all of it
		_, _ = fmt.Fprintf(w, "[WARN] %s %s: no new input was tried in that time; give -seconds=N\n", t.pkg, t.name)
		return nil
	case err == nil:
		_, _ = fmt.Fprintf(w, "[PASS] %s %s: %s inputs tried\n", t.pkg, t.name, runs)
		return nil
	}
	_, _ = fmt.Fprintf(w, "[FAIL] %s %s: after %s inputs\n%s", t.pkg, t.name, runs, said)
	return &fault.Error{Code: fault.General, Step: "fuzz", Message: t.pkg + " " + t.name, Err: err}
}
