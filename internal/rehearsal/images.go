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
	cfg := w.Env.Config
	w.companion = sync.OnceValues(func() ([]byte, error) { return compileCompanion(ctx, w.Env.Root) })
	w.Env.Images = images{world: w, Builder: build.New(ctx, build.Options{
		Root: w.Env.Root, Project: cfg.GCPProject, Zone: cfg.GCPZone, Family: cfg.GCPFamily,
		TDXRoot: hex.EncodeToString(w.Env.TDXRoot[:]), SSHPort: w.portOfSSH, Cloud: w.cloudClient,
		Fetch: build.Fetcher{Transport: w.Env.Transport},
		Pins:  w.standInPins, Env: w.packerEnvironment, Log: func(line string) { w.console.Infof("%s", line) }})}
	return w.Network.Handle(companionHost, http.HandlerFunc(w.serveStandIn))
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

// standInPins pins the stand-ins.
func (w *World) standInPins(names []string) ([]packer.Pin, error) {
	out := make([]packer.Pin, 0, len(names))
	for _, name := range names {
		archive, err := w.standIn(name)
		if err != nil {
			return nil, err
		}
		out = append(out, packer.Pin{Name: name, Version: "0.0.0-rehearsal",
			URL:    "https://" + companionHost + "/" + name + ".tar.gz",
			SHA256: digest.Of(archive), Member: name})
	}
	return out, nil
}

// standIn is an archive with a program, the same bytes each time: merod and
// traefik run in the rehearsal's nodes, and the others say what they are.
func (w *World) standIn(name string) ([]byte, error) {
	program := fmt.Appendf(nil, "#!/bin/sh\necho 'rehearsal: a stand-in for %s'\n", name)
	if name == "merod" || name == "traefik" {
		var err error
		if program, err = w.companion(); err != nil {
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
	name, ok := strings.CutSuffix(path.Base(r.URL.Path), ".tar.gz")
	archive, err := w.standIn(name)
	if err != nil || !ok {
		http.NotFound(rw, r)
		return
	}
	_, _ = rw.Write(archive) // a client that has gone needs no answer
}
