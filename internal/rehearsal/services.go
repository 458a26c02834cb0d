package rehearsal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/image"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/rehearsal/dstack"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
	"github.com/calimero-network/mero-tee/internal/rehearsal/registry"
	"github.com/calimero-network/mero-tee/internal/rehearsal/sigstore"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func (w *World) startRegistry() error {
	r, err := registry.Open(registry.Options{Dir: filepath.Join(w.State, "registry"), Token: token, Now: time.Now})
	if err != nil {
		return err
	}
	return w.handle(r, registryHost(w.Env.Config))
}

// registryHost is the host of GHCR_REGISTRY ("ghcr.io" of "ghcr.io/owner").
func registryHost(cfg *config.Config) string {
	host, _, _ := strings.Cut(cfg.Registry, "/")
	return host
}

// startDstack starts the provider; it pulls images from the same network as everything else.
func (w *World) startDstack() error {
	proxy, err := w.Network.Proxy()
	if err != nil {
		return err
	}
	seed, err := w.secret("dstack/seed")
	if err != nil {
		return err
	}
	p, err := dstack.New(dstack.Options{State: filepath.Join(w.State, "dstack"), Seed: seed, APIKey: token,
		TDX: w.platform, Proxy: proxy, Unpack: w.unpack})
	if err != nil {
		return err
	}
	w.closing(p.Close)
	if err := w.handle(p.Gateway(), "*."+dstack.Domain); err != nil {
		return err
	}
	return w.handle(p, dstackHost)
}

func (w *World) unpack(ctx context.Context, ref, dir string) (v1.Config, error) {
	digest, err := name.NewDigest(ref, name.StrictValidation)
	if err != nil {
		return v1.Config{}, err
	}
	return image.Unpack(ctx, digest, dir, image.Remote{Transport: w.Env.Transport})
}

func (w *World) sigstoreDir() string { return filepath.Join(w.State, "sigstore") }

func (w *World) startSigstore(ctx context.Context) (*sigstore.Instance, error) {
	s, err := sigstore.Start(ctx, sigstore.Options{Dir: w.sigstoreDir(), ToolsDir: filepath.Join(w.Env.Root, "tools"),
		Log: func(line string) { w.console.Infof("%s", line) }})
	if err != nil {
		return nil, err
	}
	w.closing(s.Close)
	return s, nil
}

// signing is what the Actions runner gives to a job of the tag's workflow.
func (w *World) signing(_ context.Context, tag release.Tag, c *environment.Checkout) (sign.Config, error) {
	s, err := w.sigstore()
	if err != nil {
		return sign.Config{}, err
	}
	sc, err := sign.SigningConfig(s.SigningConfigPath)
	if err != nil {
		return sign.Config{}, err
	}
	id := signature.Identity{Repository: w.Env.Config.Repository, Workflow: tag.Family.Workflow(), Tag: tag}
	url := s.TokenURL(id.Repository, id.Workflow, id.Ref(), c.Commit)
	return sign.Config{SigningConfig: sc, Token: sign.RequestToken(w.Env.Client(), url, s.Bearer(), sign.Audience),
		Transport: w.Env.Transport}, nil
}

// trust is the rehearsal's own trusted root; verifying starts no process.
func (w *World) trust(context.Context) (root.TrustedMaterial, error) {
	path := filepath.Join(w.sigstoreDir(), "trusted_root.json")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return nil, &fault.Error{Code: fault.General, Message: "nothing was released in this rehearsal yet",
			Expected: path, Got: "no such file", Hint: "run `go tool mage release:kms` first"}
	}
	return signature.TrustedRoot(path)
}

// startITA starts the appraiser of quotes; it believes the same simulated hardware as everybody here.
func (w *World) startITA() error {
	authority, err := local.OpenAuthority(filepath.Join(w.State, "ita.pem"))
	if err != nil {
		return err
	}
	verifier, err := w.Env.Verifier()
	if err != nil {
		return err
	}
	w.Env.ITA = ita.Config{URL: ita.APIURL, Key: itaKey, Root: authority.RootSHA256(), Transport: w.Env.Transport}
	return w.handle(local.New(local.Options{Authority: authority, APIKey: itaKey, Verifier: verifier, Now: time.Now}),
		local.Hosts()...)
}
