package build

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	agentName    = "mero-agent"
	architecture = "amd64" // of every machine with Intel TDX
)

// stock is the programs that go into images, in one folder.
type stock struct {
	dir        string
	agent      packer.Companion
	companions []packer.Companion
}

func (s *stock) path(name string) string { return filepath.Join(s.dir, name) }

// prepare compiles the agent and fetches every companion that a profile has.
func (b *Builder) prepare(ctx context.Context) (*stock, error) {
	if _, err := packer.ReadBase(b.o.Root); err != nil { // before anything is fetched, or built on it
		return nil, err
	}
	names, err := b.companionNames()
	if err != nil {
		return nil, err
	}
	pins, err := b.o.Pins(names)
	if err != nil {
		return nil, err
	}
	s := &stock{}
	if s.dir, err = folder(pins); err != nil {
		return nil, err
	}
	for _, pin := range pins {
		c, err := b.companion(ctx, s, pin)
		if err != nil {
			return nil, err
		}
		s.companions = append(s.companions, c)
	}
	return s, b.compileAgent(ctx, s)
}

// companionNames are those of all profiles, each once.
func (b *Builder) companionNames() ([]string, error) {
	var out []string
	for _, p := range release.Profiles() {
		profile, err := packer.ReadProfile(b.o.Root, p)
		if err != nil {
			return nil, err
		}
		out = append(out, profile.Companions...)
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// folder is in the user's cache, one for each set of pins.
func folder(pins []packer.Pin) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, p := range pins {
		fmt.Fprintf(h, "%q %q %s %q\n", p.Name, p.Version, p.SHA256, p.Member)
	}
	dir := filepath.Join(cache, "mero-tee", "programs", fmt.Sprintf("%x", h.Sum(nil)[:8]))
	return dir, os.MkdirAll(dir, 0o755)
}

// companion fetches a program unless the folder has it: its name there is
// given last, when the archive's digest was that of the pin.
func (b *Builder) companion(ctx context.Context, s *stock, pin packer.Pin) (packer.Companion, error) {
	out := packer.Companion{Name: pin.Name, Version: pin.Version, Source: pin.URL}
	path := s.path(pin.Name)
	if _, err := os.Stat(path); err != nil {
		b.o.Log(fmt.Sprintf("fetching %s %s", pin.Name, pin.Version))
		if err := b.o.Fetch.Program(ctx, pin, path); err != nil {
			return out, err
		}
	}
	var err error
	out.SHA256, _, err = digest.OfFile(path)
	return out, err
}

// compileAgent compiles into a folder of this process and then gives the result its name.
func (b *Builder) compileAgent(ctx context.Context, s *stock) error {
	scratch, err := os.MkdirTemp("", "mero-agent-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch) //nolint:errcheck // scratch
	program, err := image.Compile(ctx, image.CompileOptions{Root: b.o.Root, Package: "./" + packer.AgentSources, Name: agentName, GOARCH: architecture, OutDir: scratch})
	if err != nil {
		return err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return err
	}
	s.agent = packer.Companion{Name: agentName, SHA256: digest.Of(data), Source: packer.AgentSources}
	return file.Write(s.path(agentName), data, 0o755)
}
