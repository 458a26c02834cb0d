package image

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
)

// CompileOptions says which static binary to build.
type CompileOptions struct {
	Root    string // the module's folder
	Package string // e.g. ./docker/mero-kms
	Name    string // e.g. mero-kms
	GOARCH  string // amd64 or arm64
	OutDir  string // becomes part of the build context
}

// Compile builds OutDir/{Name}-linux-{GOARCH}: static, without paths, build id
// or version-control stamp, for the architecture's baseline. The process's
// environment decides where modules and caches are, never what is built.
func Compile(ctx context.Context, o CompileOptions) (string, error) {
	env, err := environment(ctx, o)
	if err != nil {
		return "", err
	}
	out, err := filepath.Abs(filepath.Join(o.OutDir, fmt.Sprintf("%s-linux-%s", o.Name, o.GOARCH)))
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return "", err
	}
	cmd := goCommand(ctx, o.Root, "build", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid=", "-o", out, o.Package)
	cmd.Env = env
	if _, err := run(cmd); err != nil {
		return "", &fault.Error{Code: fault.General, Message: fmt.Sprintf("compile %s for linux/%s", o.Package, o.GOARCH), Err: err}
	}
	return out, nil
}

// inherited names what a build may take from the machine: where things are
// found and how the network is reached. None of it changes a byte of the output,
// because go.sum fixes every module.
var inherited = []string{"PATH", "HOME", "TMPDIR", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy",
	"https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR"}

// located are Go's own settings of the same kind; they may come from `go env -w`,
// which GOENV=off hides, so they are asked for.
var located = []string{"GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOAUTH"}

func environment(ctx context.Context, o CompileOptions) ([]string, error) {
	answer, err := run(goCommand(ctx, o.Root, append([]string{"env", "-json"}, located...)...))
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	var settings map[string]string
	if err := json.Unmarshal(answer, &settings); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	env := []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + o.GOARCH, "GOAMD64=v1", "GOARM64=v8.0",
		"GOENV=off", "GOFLAGS=", "GOTOOLCHAIN=local", "GOWORK=off"}
	for _, name := range located {
		env = append(env, name+"="+settings[name])
	}
	for _, name := range inherited {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env, nil
}

func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	return cmd
}

// run returns standard output; standard error becomes the error's text.
func run(cmd *exec.Cmd) ([]byte, error) {
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return out, nil
}

// PinProfiles writes image-profile/{profile} into the build context: the file
// that pins an image to one profile, its name and a newline.
func PinProfiles(context string) error {
	for _, p := range release.Profiles() {
		if err := file.Write(filepath.Join(context, "image-profile", string(p)), []byte(string(p)+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
