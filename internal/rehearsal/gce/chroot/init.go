package chroot

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/calimero-network/mero-tee/internal/base/child"
)

// initProcess is process 1 of a machine: this machine's own sh, which is told
// line by line what to run. It ends when its standard input does, when it is
// killed, and (child.Start, --kill-child) when this program dies; the kernel then
// ends every other process of its namespace.
type initProcess struct {
	in      io.WriteCloser
	answers *bufio.Reader
	process *os.Process
	ended   chan struct{} // closed when no process of the machine is left
}

// errEnded is what a machine that was stopped answers.
var errEnded = errors.New("the machine has ended")

// startInit starts process 1 of a new machine.
func (r *runner) startInit(serial io.Writer) (*initProcess, error) {
	// What unshare itself has to say is no part of the machine's console.
	cmd := r.command(context.Background(), fences(), "sh", "-c", "exec sh -s 2>&1")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	answers, answer, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	var output tail
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = serial, &output, []*os.File{answer}
	p := &initProcess{in: in, answers: bufio.NewReader(answers), ended: make(chan struct{})}
	wait, err := child.Start(cmd, syscall.SIGKILL)
	_ = answer.Close() // only the child answers
	if err != nil {
		return nil, errors.Join(err, answers.Close())
	}
	go func() {
		_ = wait() // how it ended is nobody's business: it is killed
		_ = answers.Close()
		close(p.ended)
	}()
	if err := p.find(); err != nil {
		err = errors.Join(err, cmd.Cancel())
		<-p.ended
		return nil, fmt.Errorf("process 1: %w: %s", err, output.String())
	}
	return p, nil
}

// find learns process 1's id outside its namespace: /proc is not yet its own.
func (p *initProcess) find() error {
	line, err := p.tell(`read -r pid rest </proc/self/stat; echo "$pid" >&3`)
	if err != nil {
		return err
	}
	pid, err := strconv.Atoi(line)
	if err != nil {
		return err
	}
	p.process, err = os.FindProcess(pid)
	return err
}

// tell gives sh a line and reads what it answers.
func (p *initProcess) tell(line string) (string, error) {
	if _, err := io.WriteString(p.in, line+"\n"); err != nil {
		return "", errEnded
	}
	answer, err := p.answers.ReadString('\n')
	if err != nil {
		return "", errEnded
	}
	return strings.TrimSuffix(answer, "\n"), nil
}

// run executes a program to its end in the machine, outside its chroot.
func (p *initProcess) run(args ...string) error {
	status, err := p.tell(command(args) + "; echo $? >&3")
	if err != nil {
		return err
	}
	if status != "0" {
		return fmt.Errorf("exit status %s", status)
	}
	return nil
}

// start executes a program beside the others and says on the serial port how it ended.
func (p *initProcess) start(name string, args ...string) error {
	_, err := p.tell("{ " + command(args) + "; echo " + quote(name+" ended: exit status") + " $?; } 3>&- & echo >&3")
	return err
}

// say writes a line to the console, after all that was written to it so far.
func (p *initProcess) say(line string) error {
	_, err := p.tell(`printf '%s\n' ` + quote(line) + "; echo >&3")
	return err
}

func command(args []string) string {
	words := make([]string, 0, len(args))
	for _, a := range args {
		words = append(words, quote(a))
	}
	return strings.Join(words, " ") + " </dev/null 3>&-"
}

// kill ends all processes of the machine.
func (p *initProcess) kill() error {
	if err := p.process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	<-p.ended
	return nil
}
