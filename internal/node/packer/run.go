package packer

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// command is one run of Packer.
type command struct {
	args []string
	env  []string
	log  func(string)
	name string // the same for the same work; empty for what leaves nothing behind
}

// removal is how long Packer may take to remove VM and disk after an interrupt.
const removal = 5 * time.Minute

// run streams what Packer says and returns its last errors when it fails.
func (p *Packer) run(ctx context.Context, c command) error {
	home, remove, err := c.home()
	if err != nil {
		return err
	}
	defer remove()
	cmd := exec.CommandContext(ctx, p.program, c.args...)
	cmd.Dir, cmd.Env = home, p.environment(home, c.env)
	// An interrupt at the terminal reaches this process alone, which then asks Packer to stop.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) } // as Ctrl-C does: Ansible ends too
	cmd.WaitDelay = removal
	out, writer := io.Pipe()
	cmd.Stdout, cmd.Stderr = writer, writer
	said := make(chan []string, 1)
	go func() { said <- stream(out, c.log) }()
	err = child.Run(cmd, syscall.SIGTERM) // what Packer's wrapper hands on to the real one
	_ = writer.Close()
	errorLines := <-said
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errors.Join(context.Cause(ctx), err)
	}
	return fmt.Errorf("%w: %s", err, strings.Join(errorLines, "; "))
}

// home makes a folder for the keys, logs and sockets of the run. A run that was
// killed left its own, so named work begins by removing it. The path is short,
// because sockets of ssh lie in it.
func (c command) home() (home string, remove func(), err error) {
	if c.name == "" {
		return file.Temp("packer")
	}
	sum := sha256.Sum256([]byte(c.name))
	home = filepath.Join(os.TempDir(), "mero-packer-"+hex.EncodeToString(sum[:5]))
	if err := os.RemoveAll(home); err != nil {
		return "", nil, err
	}
	return home, func() { _ = os.RemoveAll(home) }, os.Mkdir(home, 0o700)
}

const maxLine = 1 << 20

// stream hands lines on and keeps the last few that speak of an error.
func stream(r *io.PipeReader, log func(string)) (last []string) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		line := strings.TrimRight(lines.Text(), " \r")
		if line == "" {
			continue
		}
		if log != nil {
			log(line)
		}
		if mentionsError(line) {
			last = append(last, line)
		}
	}
	_, _ = io.Copy(io.Discard, r) // Packer must not wait for a reader
	return last[max(0, len(last)-5):]
}

// mentionsError says so of each line of Packer's lists of errors too.
func mentionsError(line string) bool {
	if _, said, _ := strings.Cut(line, ": "); strings.HasPrefix(strings.TrimSpace(said), "* ") ||
		strings.HasPrefix(strings.TrimSpace(line), "* ") {
		return true
	}
	lower := strings.ToLower(line)
	return slices.ContainsFunc([]string{"error", "fatal:", "failed"},
		func(word string) bool { return strings.Contains(lower, word) })
}

// environment is what Packer needs and nothing that could change what it builds.
func (p *Packer) environment(home string, extra []string) []string {
	env := []string{
		"CHECKPOINT_DISABLE=1", "PACKER_NO_COLOR=1", "PACKER_PLUGIN_PATH=" + p.plugins, "PACKER_CONFIG_DIR=" + home,
		"PACKER_CACHE_DIR=" + filepath.Join(home, "cache"),
		"ANSIBLE_HOME=" + home, "ANSIBLE_LOCAL_TEMP=" + filepath.Join(home, "tmp"), "ANSIBLE_SSH_CONTROL_PATH_DIR=" +
			filepath.Join(home, "cp"),
		"HOME=" + home, "LC_ALL=C.UTF-8", "TZ=UTC", "TMPDIR=" + home,
	}
	if path, ok := os.LookupEnv("PATH"); ok {
		env = append(env, "PATH="+path)
	}
	return append(env, extra...)
}
