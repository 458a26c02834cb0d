// Package console is how the pipeline speaks to people: one line per event in
// the spec's levels, on standard error, with what was expected and found.
//
// Its promise: standard output is left to data, parallel steps never mix
// within a line, in GitHub Actions the same events are also annotations, and
// no text from outside can draw on the terminal, pass for a line of ours or
// command the runner.
package console

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Level is one of the spec's log levels.
type Level string

// The spec's "[INFO] Informational messages" and its four siblings.
const (
	Info  Level = "INFO"
	Warn  Level = "WARN"
	Error Level = "ERROR"
	Pass  Level = "PASS"
	Fail  Level = "FAIL"
)

// Console writes events. Its zero value is not usable; see New.
type Console struct {
	out     *output
	subject string
	quiet   bool
}

type output struct {
	mu          sync.Mutex
	w           io.Writer
	annotations bool
	live        string // the status line now on the terminal, without its newline
}

// New returns a console that writes to w, with annotations when the process
// runs in GitHub Actions.
func New(w io.Writer, annotations bool) *Console {
	return &Console{out: &output{w: w, annotations: annotations}}
}

// For returns a console whose lines name the step or command that speaks.
func (c *Console) For(subject string) *Console {
	return &Console{out: c.out, subject: subject, quiet: c.quiet}
}

// Quiet returns a console that says only what must not be missed: warnings,
// failures and what Noticef says.
func (c *Console) Quiet() *Console { return &Console{out: c.out, subject: c.subject, quiet: true} }

// Noticef reports progress that even a quiet console says, such as the beginning of minutes of compilation.
func (c *Console) Noticef(format string, args ...any) {
	(&Console{out: c.out, subject: c.subject}).Printf(Info, format, args...)
}

// Printf writes one event.
func (c *Console) Printf(l Level, format string, args ...any) {
	if c.quiet && (l == Info || l == Pass) {
		return
	}
	text := fmt.Sprintf(format, args...)
	if c.subject != "" {
		text = c.subject + ": " + text
	}
	c.out.line(l, text)
}

// Infof reports progress.
func (c *Console) Infof(format string, args ...any) { c.Printf(Info, format, args...) }

// Lines reports progress line by line, as write writes it; blank lines are left out.
func (c *Console) Lines(write func(io.Writer) error) error {
	var b bytes.Buffer
	if err := write(&b); err != nil {
		return err
	}
	for line := range strings.Lines(b.String()) {
		if line = strings.TrimRight(line, " \n"); line != "" {
			c.Infof("%s", line)
		}
	}
	return nil
}

// Warnf reports what is not fatal but should be known.
func (c *Console) Warnf(format string, args ...any) { c.Printf(Warn, format, args...) }

// Detail writes an indented line under the event before it.
func (c *Console) Detail(format string, args ...any) {
	c.out.write("       " + lines(fmt.Sprintf(format, args...)) + "\n")
}

// Fault reports an error with its Expected, Got and Hint. An error that joins
// several is reported one by one.
func (c *Console) Fault(err error) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			c.Fault(e)
		}
		return
	}
	c.Printf(Error, "%s", err)
	var f *fault.Error
	if !errors.As(err, &f) {
		return
	}
	c.comparison(f.Expected, f.Got, f.Hint)
}

// Final is Fault for the error that a command ends with: its exit code is said
// last, once.
func (c *Console) Final(err error) {
	c.Fault(err)
	code := fault.CodeOf(err)
	c.Detail("Exit:     %d, %s", code, code.Meaning())
}

func (c *Console) comparison(expected, got, hint string) {
	for _, p := range [][2]string{{"Expected:", expected}, {"Got:     ", got}, {"Hint:    ", hint}} {
		if p[1] != "" {
			c.Detail("%s %s", p[0], p[1])
		}
	}
}

func (o *output) line(l Level, text string) {
	text = lines(text)
	s := fmt.Sprintf("[%s] %s\n", l, text)
	if o.annotations {
		s += annotation(l, text)
	}
	o.write(s)
}

// annotation is GitHub's workflow command for the levels that deserve one.
func annotation(l Level, text string) string {
	command := map[Level]string{Warn: "warning", Error: "error", Fail: "error"}[l]
	if command == "" {
		return ""
	}
	escaped := strings.NewReplacer("%", "%25", "\n", "%0A").Replace(text)
	return fmt.Sprintf("::%s::%s\n", command, escaped)
}

func (o *output) write(s string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.live != "" {
		s = eraseLine + s + o.live
	}
	_, _ = io.WriteString(o.w, s) // nowhere to report a console that cannot be written to
}

// Path is how a person in the working directory would write path: relative
// when it lies below, as it is otherwise.
func Path(path string) string {
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	if rel, err := filepath.Rel(dir, path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}
