package build

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/base/retry"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	agentName     = "mero-agent"
	predictorName = "mero-predict"
	architecture  = "amd64" // of every machine with Intel TDX
)

// sources is what decides images besides the repository's files: the agent and
// the program that predicts registers, compiled, and the companions' pins.
type sources struct {
	dir       string
	agent     packer.Companion
	predictor packer.Companion
	pins      []packer.Pin
}

// programs is the programs that go into images, in one folder.
type programs struct {
	*sources
	companions []packer.Companion
}

func (s *sources) path(name string) string { return filepath.Join(s.dir, name) }

// compile reads the pins and compiles the two programs that are ours.
func (b *Builder) compile(ctx context.Context) (*sources, error) {
	if _, err := packer.ReadBase(b.o.Root); err != nil { // before anything is fetched, or built on it
		return nil, err
	}
	names, err := b.companionNames()
	if err != nil {
		return nil, err
	}
	s := &sources{}
	if s.pins, err = b.o.Pins(names); err != nil {
		return nil, err
	}
	if s.dir, err = folder(s.pins); err != nil {
		return nil, err
	}
	if s.agent, err = b.compileInto(ctx, s, agentName, packer.AgentSources); err != nil {
		return nil, err
	}
	s.predictor, err = b.compileInto(ctx, s, predictorName, packer.PredictorSources)
	return s, err
}

// prepare fetches every companion that a profile has.
func (b *Builder) prepare(ctx context.Context) (*programs, error) {
	s, err := b.sources()
	if err != nil {
		return nil, err
	}
	out := &programs{sources: s}
	for _, pin := range s.pins {
		c, err := b.companion(ctx, out, pin)
		if err != nil {
			return nil, err
		}
		out.companions = append(out.companions, c)
	}
	return out, nil
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
func (b *Builder) companion(ctx context.Context, s *programs, pin packer.Pin) (packer.Companion, error) {
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

// compileInto compiles into a folder of this process and then gives the result its name.
func (b *Builder) compileInto(ctx context.Context, s *sources, name, sources string) (packer.Companion, error) {
	out := packer.Companion{Name: name, Source: sources}
	scratch, remove, err := file.Temp("program")
	if err != nil {
		return out, err
	}
	defer remove()
	program, err := gobuild.Compile(ctx, gobuild.Program{Module: b.o.Root, Package: "./" + sources, Name: name,
		GOARCH: architecture, OutDir: scratch})
	if err != nil {
		return out, err
	}
	data, err := os.ReadFile(program)
	if err != nil {
		return out, err
	}
	out.SHA256 = digest.Of(data)
	out.Version = hex.EncodeToString(out.SHA256[:6]) // what it is follows from its sources alone
	return out, file.Write(s.path(name), data, 0o755)
}

const (
	maxArchive    = 512 << 20
	maxProgram    = 1 << 30
	fetchDeadline = 15 * time.Minute
)

// Fetcher downloads pinned programs.
type Fetcher struct {
	Transport http.RoundTripper
	Wait      func(ctx context.Context, d time.Duration) error // between attempts; nil: retry.For
}

// Program downloads the archive of a pin, compares its digest, and writes the
// one program in it to a path, wholly or not at all.
func (f Fetcher) Program(ctx context.Context, pin packer.Pin, to string) error {
	ctx, cancel := context.WithTimeout(ctx, fetchDeadline)
	defer cancel()
	scratch, remove, err := file.Temp("companion")
	if err != nil {
		return err
	}
	defer remove()
	archive, err := os.Create(filepath.Join(scratch, "archive"))
	if err != nil {
		return err
	}
	defer archive.Close()
	policy := retry.Usual()
	policy.Wait = f.Wait
	if err := policy.Do(ctx, func(int) error { return f.download(ctx, pin, archive) }, retry.HTTP); err != nil {
		return err
	}
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return err
	}
	return file.Stream(to, 0o755, func(w io.Writer) error { return extract(archive, pin, w) })
}

// download writes the archive of a pin, from the file's beginning.
func (f Fetcher) download(ctx context.Context, pin packer.Pin, archive *os.File) error {
	if _, err := archive.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := archive.Truncate(0); err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, pin.URL, nil)
	if err != nil {
		return err
	}
	resp, err := (&http.Client{Transport: f.Transport}).Do(req)
	if err != nil {
		return &fault.Error{Code: fault.General, Message: "fetching " + pin.Name, Err: err}
	}
	defer resp.Body.Close()
	if err := retry.Refused(resp); err != nil {
		refused := &fault.Error{Code: fault.General, Message: "fetching " + pin.Name, Expected: pin.URL, Got: resp.Status,
			Err: err}
		if resp.StatusCode == http.StatusNotFound || resp.StatusCode == http.StatusGone {
			refused.Code, refused.Hint = fault.MissingAsset, "is the version in packer/companions.json released?"
		}
		return refused
	}
	h := sha256.New()
	n, err := io.Copy(io.MultiWriter(archive, h), io.LimitReader(resp.Body, maxArchive+1))
	if err != nil {
		return &fault.Error{Code: fault.General, Message: "fetching " + pin.Name, Err: err}
	}
	if n > maxArchive {
		return &fault.Error{Code: fault.Verification, Message: pin.URL + " is too large",
			Expected: fmt.Sprintf("at most %d bytes", maxArchive)}
	}
	if got := digest.Digest(h.Sum(nil)); got != pin.SHA256 {
		return &fault.Error{Code: fault.Verification, Message: pin.Name + " is not what packer/companions.json pins",
			Expected: pin.SHA256.String(), Got: got.String(), Hint: "never change the pin to what came: find out who changed " +
				pin.URL}
	}
	return nil
}

// extract copies the pinned member of a .tar.gz, which must be a regular file.
func extract(archive io.Reader, pin packer.Pin, w io.Writer) error {
	unpacked, err := gzip.NewReader(archive)
	if err != nil {
		return fmt.Errorf("%s is no .tar.gz: %w", pin.URL, err)
	}
	for files := tar.NewReader(unpacked); ; {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return &fault.Error{Code: fault.MissingAsset, Message: pin.URL + " does not hold the program", Expected: pin.Member,
				Got: "no such file"}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", pin.URL, err)
		}
		if path.Clean(header.Name) != path.Clean(pin.Member) || header.Typeflag != tar.TypeReg {
			continue
		}
		if header.Size > maxProgram {
			return &fault.Error{Code: fault.Verification, Message: pin.Member + " is too large",
				Expected: fmt.Sprintf("at most %d bytes", maxProgram)}
		}
		_, err = io.CopyN(w, files, header.Size)
		return err
	}
}
