package packer

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// module is what `go mod download -json` says.
type module struct{ Dir, Sum, Error string }

// slim makes a copy of Packer's sources without the plugins that it bundles,
// below parent, once for the same sources. go.sum of the module that pins it
// vouches for what is copied.
func slim(ctx context.Context, pin, parent string) (string, error) {
	m, err := download(ctx, pin)
	if err != nil {
		return "", err
	}
	instead, err := os.ReadFile(filepath.Join(pin, "vendored_plugins.go.txt"))
	if err != nil {
		return "", err
	}
	key := sha256.Sum256(append([]byte(m.Sum+"\n"), instead...))
	dir := filepath.Join(parent, "packer-source-"+hex.EncodeToString(key[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return "", err
	}
	unlock, err := file.Lock(ctx, parent, nil)
	if err != nil {
		return "", err
	}
	defer unlock()
	scratch := filepath.Join(parent, ".packer-source") // of who holds the lock; a killed one left it
	if err := errors.Join(os.RemoveAll(scratch), os.Mkdir(scratch, 0o755)); err != nil {
		return "", err
	}
	defer os.RemoveAll(scratch)
	if err := copySources(m.Dir, scratch, instead); err != nil {
		return "", err
	}
	if err := os.Rename(scratch, dir); err != nil {
		if _, other := os.Stat(dir); other == nil {
			return dir, nil // another process was as fast
		}
		return "", err
	}
	return dir, nil
}

func download(ctx context.Context, pin string) (*module, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", "github.com/hashicorp/packer")
	cmd.Dir, cmd.Env = pin, append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=readonly")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	var m module
	err = errors.Join(err, json.Unmarshal(out, &m))
	if err == nil && m.Dir == "" {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, fmt.Errorf("go mod download: %w: %s%s", err, m.Error, bytes.TrimSpace(said.Bytes()))
	}
	return &m, nil
}

// copySources takes what the compiler reads. go.mod and go.sum come along: Packer is built as its own main module.
func copySources(from, to string, instead []byte) error {
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil || !compiled(name) {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if name == filepath.Join("command", "vendored_plugins.go") {
			content = instead
		}
		target := filepath.Join(to, name)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		return os.WriteFile(target, content, 0o644)
	})
}

func compiled(name string) bool {
	if name == "go.mod" || name == "go.sum" {
		return true
	}
	return strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") && !strings.HasPrefix(name, "acctest")
}
