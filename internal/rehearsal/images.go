package rehearsal

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/node/build"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
)

// companionHost gives the programs beside the agent: stand-ins with digests of their own.
const companionHost = "companions.rehearsal.invalid"

// images is production's own builder over the local Compute Engine.
type images struct {
	*build.Builder
	world *World
}

// startImages: what differs from production are the pins, the way out and the root that agents believe.
func (w *World) startImages(ctx context.Context) error {
	w.Env.Images = w.imagesOf(ctx, w.Env.Root, "", w.Env.Config.GCPFamily)
	others := 0
	w.Env.ImagesOf = func(root string) image.Images {
		others++
		return w.imagesOf(ctx, root, fmt.Sprintf("/%d", others), "")
	}
	return w.Network.Handle(companionHost, http.HandlerFunc(w.serveStandIn))
}

// imagesOf builds from a work tree, whose stand-ins lie below a path of their own.
func (w *World) imagesOf(ctx context.Context, root, below, family string) images {
	cfg := w.Env.Config
	programs := standIns{below: below,
		companion: sync.OnceValues(func() ([]byte, error) { return compileCompanion(ctx, root) })}
	w.mu.Lock()
	w.standIns = append(w.standIns, programs)
	w.mu.Unlock()
	return images{world: w, Builder: build.New(ctx, build.Options{
		Root: root, Project: cfg.GCPProject, Zone: cfg.GCPZone, Family: family,
		TDXRoot: hex.EncodeToString(w.Env.TDXRoot[:]), SSHPort: w.portOfSSH, Cloud: w.cloudClient,
		Fetch: build.Fetcher{Transport: w.Env.Transport},
		Pins:  programs.pins, Env: w.packerEnvironment, Log: func(line string) { w.console.Infof("%s", line) }})}
}

// standIns are the programs beside the agent in the images of one work tree.
type standIns struct {
	below     string                 // where companionHost has them
	companion func() ([]byte, error) // the program that stands in for merod and traefik
}

// Build makes sure that the base image is there first.
func (i images) Build(ctx context.Context, o image.BuildRequest) (*image.Record, error) {
	if err := i.world.base(); err != nil {
		return nil, err
	}
	return i.Builder.Build(ctx, o)
}

func (w *World) portOfSSH() (int, error) {
	_, err := w.cloud()
	return w.sshPort, err
}

// packerEnvironment leads Packer to the local Compute Engine, under its production names.
func (w *World) packerEnvironment() ([]string, error) {
	s, err := w.cloud()
	if err != nil {
		return nil, err
	}
	proxy, err := w.Network.Proxy()
	if err != nil {
		return nil, err
	}
	certificate := filepath.Join(w.State, "network.pem")
	return []string{"GOOGLE_CREDENTIALS=" + string(s.Key()), "HTTPS_PROXY=" + proxy.URL, "HTTP_PROXY=" + proxy.URL,
			"SSL_CERT_FILE=" + certificate},
		file.Write(certificate, proxy.CertificatePEM, 0o644)
}

// pins pins the stand-ins.
func (s standIns) pins(names []string) ([]packer.Pin, error) {
	out := make([]packer.Pin, 0, len(names))
	for _, name := range names {
		archive, err := s.archive(name)
		if err != nil {
			return nil, err
		}
		out = append(out, packer.Pin{Name: name, Version: "0.0.0-rehearsal",
			URL:    "https://" + companionHost + s.below + "/" + name + ".tar.gz",
			SHA256: digest.Of(archive), Member: name})
	}
	return out, nil
}

// archive is one with a program, the same bytes each time: merod and
// traefik run in the rehearsal's nodes, and the others say what they are and stay.
func (s standIns) archive(name string) ([]byte, error) {
	program := fmt.Appendf(nil, "#!/bin/sh\necho 'rehearsal: a stand-in for %s'\nexec sleep infinity\n", name)
	if name == "merod" || name == "traefik" {
		var err error
		if program, err = s.companion(); err != nil {
			return nil, err
		}
	}
	var b bytes.Buffer
	packed, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	files := tar.NewWriter(packed)
	if err := files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(program)),
		Typeflag: tar.TypeReg}); err != nil {
		return nil, err
	}
	if _, err := files.Write(program); err != nil {
		return nil, err
	}
	if err := files.Close(); err != nil {
		return nil, err
	}
	err = packed.Close()
	return b.Bytes(), err
}

// compileCompanion compiles the program that stands in for merod and traefik.
func compileCompanion(ctx context.Context, root string) ([]byte, error) {
	scratch, remove, err := file.Temp("standin")
	if err != nil {
		return nil, err
	}
	defer remove()
	program, err := gobuild.Compile(ctx, gobuild.Program{Module: root, Package: "./internal/rehearsal/companion/standin",
		Name: "standin", GOARCH: "amd64", OutDir: scratch})
	if err != nil {
		return nil, err
	}
	return os.ReadFile(program)
}

func (w *World) serveStandIn(rw http.ResponseWriter, r *http.Request) {
	folder, file := path.Split(r.URL.Path)
	name, ok := strings.CutSuffix(file, ".tar.gz")
	w.mu.Lock()
	i := slices.IndexFunc(w.standIns, func(s standIns) bool { return s.below+"/" == folder })
	all := w.standIns
	w.mu.Unlock()
	if !ok || i < 0 {
		http.NotFound(rw, r)
		return
	}
	archive, err := all[i].archive(name)
	if err != nil {
		http.NotFound(rw, r)
		return
	}
	_, _ = rw.Write(archive) // a client that has gone needs no answer
}
