// Package gobuild compiles Go programs: those that a release ships, and outside
// programs of the pinned modules under tools/.
//
// Its promise: sources, the modules that go.sum pins, the compiler and the
// target decide what is built, and nothing else that a machine sets. A program
// of the cache was built wholly, is compiled once for its sources, and never by
// two processes at the same time.
package gobuild

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/child"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Program says which program a release ships.
type Program struct {
	Module  string // the module's folder
	Package string // e.g. ./docker/mero-kms
	Name    string // e.g. mero-kms
	GOARCH  string // amd64 or arm64
	OutDir  string
}

// Compile builds OutDir/{Name}-linux-{GOARCH}: static, without paths, build id
// or version-control stamp, for the architecture's baseline.
func Compile(ctx context.Context, p Program) (string, error) {
	out, err := filepath.Abs(filepath.Join(p.OutDir, fmt.Sprintf("%s-linux-%s", p.Name, p.GOARCH)))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", err
	}
	c, err := findCompiler(ctx)
	if err == nil {
		c.os, c.arch = "linux", p.GOARCH
		err = c.build(ctx, out, p.Package, arguments(p.Module, "-s -w -buildid="), nil)
	}
	if err != nil {
		return "", &fault.Error{Code: fault.General, Err: err,
			Message: fmt.Sprintf("compile %s for linux/%s", p.Package, p.GOARCH)}
	}
	return out, nil
}

// compiler is the go command, what it is, and the target.
type compiler struct {
	path, version, os, arch string
	located                 map[string]string
}

// inherited is what a build may take from the machine: where things are found
// and how the network is reached. None of it changes a byte of the output,
// because go.sum fixes every module.
var inherited = []string{"PATH", "HOME", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
	"https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// located are Go's own settings of the same kind; they may come from `go env -w`,
// which GOENV=off hides, so they are asked for.
var located = append([]string{"GOCACHE"}, modules...)

// modules are those of them that say where modules are and come from.
var modules = []string{"GOMODCACHE", "GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOINSECURE", "GOVCS",
	"GOAUTH"}

// Modules are the settings NAME=value by which the go command at path finds modules, also for a user of another home.
func Modules(ctx context.Context, path string) ([]string, error) {
	settings, err := settings(ctx, path, modules...)
	if err != nil {
		return nil, err
	}
	out := make([]string, len(modules))
	for i, name := range modules {
		out[i] = name + "=" + settings[name]
	}
	return out, nil
}

// settings asks the go command at path for its settings.
func settings(ctx context.Context, path string, names ...string) (out map[string]string, err error) {
	said, err := exec.CommandContext(ctx, path, append([]string{"env", "-json"}, names...)...).Output()
	if err == nil {
		err = json.Unmarshal(said, &out)
	}
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	return out, nil
}

// findCompiler asks the go command on the PATH; for GOHOSTOS, because GOOS may be set to a foreign target.
func findCompiler(ctx context.Context) (compiler, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return compiler{}, err
	}
	said, err := settings(ctx, path, append([]string{"GOVERSION", "GOHOSTOS", "GOHOSTARCH"}, located...)...)
	if err != nil {
		return compiler{}, err
	}
	return compiler{path: path, version: said["GOVERSION"], os: said["GOHOSTOS"], arch: said["GOHOSTARCH"],
		located: said}, nil
}

func (c compiler) environment(extra []string) []string {
	env := []string{"CGO_ENABLED=0", "GOOS=" + c.os, "GOARCH=" + c.arch, "GOAMD64=v1", "GOARM64=v8.0",
		"GOENV=off", "GOFLAGS=", "GOTOOLCHAIN=local", "GOWORK=off"}
	for _, name := range located {
		env = append(env, name+"="+c.located[name])
	}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return append(env, extra...)
}

// arguments are the part of the command line that decides what is built.
func arguments(module, ldflags string) []string {
	return []string{"build", "-C", module, "-trimpath", "-buildvcs=false", "-ldflags=" + ldflags}
}

// build runs `go build` and writes the program to out, an absolute path.
func (c compiler) build(ctx context.Context, out, pkg string, arguments, extra []string) error {
	work, remove, err := file.Temp("go")
	if err != nil {
		return err
	}
	defer remove()
	cmd := exec.CommandContext(ctx, c.path, append(arguments, "-o", out, pkg)...)
	cmd.Env = append(c.environment(extra), "GOTMPDIR="+work)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // go ends its compilers, then itself
	cmd.WaitDelay = 10 * time.Second
	if err := child.Run(cmd, syscall.SIGINT); err != nil {
		return fmt.Errorf("go build: %w: %s", err, tail(said.Bytes()))
	}
	return nil
}

func tail(b []byte) []byte {
	const most = 2000 // bytes: the last error is what a person needs
	return bytes.TrimSpace(b[max(0, len(b)-most):])
}
