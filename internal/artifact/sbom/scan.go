package sbom

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

const (
	scanDeadline = 2 * time.Minute
	maxDocument  = 32 << 20 // bytes that are read of syft's output
	maxMessage   = 16 << 10 // bytes that are kept of its log
)

// scan runs syft over one source. All of syft's catalogers for installed
// software run: on a 15 MB binary the ones that find nothing cost less than can
// be measured (1.41 s with and without, 2026-11-23).
func scan(ctx context.Context, o Options, source Source) (*spdx.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, scanDeadline)
	defer cancel()
	home, err := os.MkdirTemp("", "syft-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home) //nolint:errcheck // nothing can be done about a temporary folder
	out, log := &limited{max: maxDocument}, &limited{max: maxMessage}
	arguments := append([]string{"scan"}, source.scan...)
	cmd := exec.CommandContext(ctx, o.Syft, append(arguments,
		"--source-name", o.Name, "--source-version", o.Version, "--output", "spdx-json", "--quiet")...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = home, environment(home), out, log, time.Second
	if err := cmd.Run(); err != nil {
		return nil, scanFault(ctx, source.Label, log, err)
	}
	if out.cut {
		return nil, &fault.Error{Code: fault.General, Message: fmt.Sprintf("syft wrote more than %d bytes", maxDocument)}
	}
	return read(out.Bytes())
}

// Image is the linux/amd64 image in an OCI layout, a folder. Without the scheme
// syft would guess, and try a registry.
func Image(layout string) Source {
	const platform = "linux/amd64"
	path, err := found(layout)
	return Source{Label: platform, err: err, scan: []string{"oci-dir:" + path, "--platform", platform}}
}

// Folder is a file tree that stands for something whose digest is sha256:
// its programs, and the package database in the places where Debian has them.
func Folder(dir, label string, sha256 [32]byte) Source {
	path, err := found(dir)
	return Source{Label: label, err: err, sha: hex.EncodeToString(sha256[:]),
		scan: []string{"dir:" + path, "--base-path", path, "--override-default-catalogers", "image"}}
}

func found(name string) (string, error) {
	path, err := filepath.Abs(name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", &fault.Error{Code: fault.Usage, Message: "no image to describe", Err: err}
	}
	return path, nil
}

// environment is all that syft sees: an empty home, so no configuration or
// cache of the user counts, and a proxy that nobody serves, so an attempt to
// reach the network fails at once instead of changing the result.
func environment(home string) []string {
	return []string{"HOME=" + home, "TMPDIR=" + home, "XDG_CACHE_HOME=" + home, "XDG_CONFIG_HOME=" + home,
		"SYFT_CHECK_FOR_APP_UPDATE=false", "GOPROXY=off", "HTTP_PROXY=http://127.0.0.1:1", "HTTPS_PROXY=http://127.0.0.1:1"}
}

func scanFault(ctx context.Context, label string, log *limited, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return &fault.Error{Code: fault.General, Message: "syft cannot describe " + label,
		Got: strings.TrimSpace(log.String()), Err: err}
}

// limited keeps the first max bytes and remembers whether there were more.
type limited struct {
	bytes.Buffer
	max int
	cut bool
}

// Write never fails: syft must not die of a closed pipe and hide its own message.
func (l *limited) Write(p []byte) (int, error) {
	room := max(0, l.max-l.Len())
	if len(p) > room {
		l.cut = true
	}
	l.Buffer.Write(p[:min(len(p), room)])
	return len(p), nil
}
