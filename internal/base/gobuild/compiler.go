package gobuild

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// compiler is the go command and what it is.
type compiler struct{ path, version, os, arch string }

// findCompiler asks the go command on the PATH; for GOHOSTOS, because GOOS may be set to a foreign target.
func findCompiler(ctx context.Context) (compiler, error) {
	path, err := exec.LookPath("go")
	if err != nil {
		return compiler{}, err
	}
	out, err := exec.CommandContext(ctx, path, "env", "GOVERSION", "GOHOSTOS", "GOHOSTARCH").Output()
	if err != nil {
		return compiler{}, fmt.Errorf("go env: %w", err)
	}
	fields := strings.Fields(string(out))
	if len(fields) != 3 {
		return compiler{}, fmt.Errorf("go env: %q", out)
	}
	return compiler{path: path, version: fields[0], os: fields[1], arch: fields[2]}, nil
}

// kept are Go's variables that say where to get and keep things; every other
// GO… and CGO_… variable could change what is built.
var kept = []string{
	"GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOPRIVATE", "GONOPROXY", "GONOSUMDB", "GOSUMDB", "GOINSECURE",
	"GOVCS", "GOAUTH", "GOENV", "GOROOT", "GOTOOLCHAIN", "GOTMPDIR", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GOTELEMETRY",
}

// environment is this process's, without what would build for another target, in another mode or with other modules.
func (c compiler) environment(extra []string) []string {
	env := slices.DeleteFunc(os.Environ(), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return (strings.HasPrefix(name, "GO") || strings.HasPrefix(name, "CGO_")) && !slices.Contains(kept, name)
	})
	env = append(env, "GOFLAGS=-mod=readonly", "GOWORK=off", "CGO_ENABLED=0", "GOOS="+c.os, "GOARCH="+c.arch)
	return append(env, extra...)
}
