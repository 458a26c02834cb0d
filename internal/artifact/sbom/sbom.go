// Package sbom makes and checks sbom.spdx.json: what a release's images hold,
// as syft sees it, in SPDX 2.3.
//
// Its promise: the same images give the same bytes on any machine, every
// profile is in the one document, and a document that misses a
// Go module which a shipped binary was linked from, or a package that an image
// record lists, does not pass.
package sbom

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spdx/tools-golang/spdx"
	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
)

// SyftVersion is what tools/syft pins and what a document must name as its creator.
const SyftVersion = "1.54.1"

// Options say what to describe and how to call it. All fields are required.
type Options struct {
	Syft    string   // path of the syft program, built with -X main.version=SyftVersion
	Sources []Source // each with a label of its own
	Name    string   // e.g. "mero-kms"
	Version string   // e.g. "1.2.0"
	// e.g. "calimero-network/mero-tee"; who owns it is the document's author and the images' supplier
	Repository string
	Epoch      time.Time // SOURCE_DATE_EPOCH, becomes the document's creation time
}

// Source is one thing to scan; see Image and Folder.
type Source struct {
	Label string   // tells it from the others, e.g. "debug"
	scan  []string // syft's arguments
	sha   string   // of what a folder stands for, 64 hex digits; an image has its own
	known []Package
	err   error
}

// Generate scans each source with a syft process of its own and returns the one
// SPDX JSON document for all of them.
func Generate(ctx context.Context, o Options) ([]byte, error) {
	if err := o.validate(); err != nil {
		return nil, err
	}
	// Scanning side by side matters: of the 1.4 s that syft takes for a 15 MB
	// binary, 1.2 s compile its licence patterns on one core (2026-11-23).
	docs := make([]*spdx.Document, len(o.Sources))
	g, ctx := errgroup.WithContext(ctx)
	for i, source := range o.Sources {
		g.Go(func() (err error) {
			docs[i], err = scan(ctx, o, source)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return nil, err
	}
	doc, err := merge(o, docs)
	if err != nil {
		return nil, &fault.Error{Code: fault.General, Message: "syft's documents do not fit together", Err: err}
	}
	return canonical.Marshal(doc)
}

func (o Options) validate() error {
	for name, value := range map[string]string{"syft": o.Syft, "name": o.Name, "version": o.Version,
		"repository": Owner(o.Repository)} {
		if value == "" {
			return &fault.Error{Code: fault.Usage, Message: "SBOM without " + name}
		}
	}
	if o.Epoch.IsZero() {
		return &fault.Error{Code: fault.Usage, Message: "SBOM without epoch", Expected: "the time in SOURCE_DATE_EPOCH"}
	}
	labels := map[string]bool{}
	for _, source := range o.Sources {
		if source.err != nil {
			return source.err
		}
		labels[source.Label] = true
	}
	if len(labels) == 0 || len(labels) != len(o.Sources) {
		return &fault.Error{Code: fault.Usage, Message: "SBOM of nothing, or of one thing twice",
			Expected: "for example debug and locked-read-only", Got: fmt.Sprint(slices.Sorted(maps.Keys(labels)))}
	}
	return nil
}

// Program says how syft is built from the module that pins it, in the
// repository at root: our own command over syft's library, half of what there is
// to compile of syft's (43 MB of source instead of 80, 2026-11-27), and the same
// documents. Without the version a document would name no creator.
func Program(root string) gobuild.Spec {
	return gobuild.Spec{Name: "syft", Module: filepath.Join(root, "tools", "syft"), Package: ".",
		LDFlags: "-s -w -X main.version=" + SyftVersion}
}

const (
	scanDeadline = 10 * time.Minute // for a hang: a scan takes 3 s, and a busy machine a multiple
	maxDocument  = MaxSize          // bytes that are read of syft's output
	maxMessage   = 16 << 10         // bytes that are kept of its log
)

// scan runs syft over one source. All of syft's catalogers for installed
// software run: on a 15 MB binary the ones that find nothing cost less than can
// be measured (1.41 s with and without, 2026-11-23).
func scan(ctx context.Context, o Options, source Source) (*spdx.Document, error) {
	ctx, cancel := context.WithTimeout(ctx, scanDeadline)
	defer cancel()
	home, remove, err := file.Temp("syft")
	if err != nil {
		return nil, err
	}
	defer remove()
	out, log := &limited{max: maxDocument}, &limited{max: maxMessage}
	cmd := exec.CommandContext(ctx, o.Syft,
		append([]string{"-name=" + o.Name, "-version=" + o.Version}, source.scan...)...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = home, environment(home), out, log, time.Second
	if err := child.Run(cmd, syscall.SIGKILL); err != nil {
		return nil, scanFault(ctx, source.Label, log, err)
	}
	if out.cut {
		return nil, &fault.Error{Code: fault.General, Message: fmt.Sprintf("syft wrote more than %d bytes", maxDocument)}
	}
	return read(out.Bytes())
}

// Image is the linux/amd64 image in an OCI layout, a folder. Without the scheme
// syft would guess, and try a registry.
func Image(layout, label string) Source {
	path, err := found(layout)
	return Source{Label: label, err: err, scan: []string{"-platform=linux/amd64", "oci-dir:" + path}}
}

// Folder is a file tree that stands for something whose digest is sha256:
// its programs, and the package database in the places where Debian has them.
// Packages are those that are known to be in it.
func Folder(dir, label string, sha256 [32]byte, packages []Package) Source {
	path, err := found(dir)
	return Source{Label: label, err: err, sha: hex.EncodeToString(sha256[:]), known: packages,
		scan: []string{"-base=" + path, "-catalogers=image", "dir:" + path}}
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
