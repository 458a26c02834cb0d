package rehearsal

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
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
	var r *registry.Registry
	r, err := registry.Open(registry.Options{Dir: filepath.Join(w.State, "registry"), Token: token, Now: time.Now,
		Rights: w.packageRights,
		Created: func(repository string) { // docs/releasing.md: "set it to public"
			if err := r.MakePublic(repository); err != nil {
				w.console.Warnf("%v", err)
			}
		}})
	if err != nil {
		return err
	}
	return w.handle(r, registryHost(w.Env.Config))
}

// packageRights are those of a token of the local GitHub.
func (w *World) packageRights(password string) (registry.Rights, bool) {
	level, known := w.github.Packages(password)
	return registry.Rights{Read: level != "none", Write: level == "write"}, known
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
		TDX: w.under, Proxy: proxy, TrustedRoot: w.trustedRoot(), Unpack: w.unpack})
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

func (w *World) trustedRoot() string { return filepath.Join(w.sigstoreDir(), "trusted_root.json") }

// announceSigstore puts the names at sigstore.dev into the network. The TUF
// repository is answered here; what stands behind the others starts when it is asked.
func (w *World) announceSigstore() error {
	tuf, err := sigstore.OpenTUF(filepath.Join(w.sigstoreDir(), "tuf"), time.Now)
	if err != nil {
		return err
	}
	first, err := tuf.InitialRoot()
	if err != nil {
		return err
	}
	w.Env.Sigstore = trust.New(trust.Options{Root: first, Cache: filepath.Join(w.sigstoreDir(), "seen"),
		Transport: w.Env.Transport})
	err = w.Network.HandleLazy(sigstore.TUFHost, func() (http.Handler, error) { return tuf, w.publish(tuf) })
	if err != nil {
		return err
	}
	for _, host := range sigstoreHosts {
		err := w.Network.HandleLazy(host, func() (http.Handler, error) {
			s, err := w.sigstore()
			if err != nil {
				return nil, err
			}
			return s.Handler(host)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

var sigstoreHosts = []string{sigstore.FulcioHost, sigstore.RekorHost, sigstore.TimestampHost}

// publish starts Sigstore if it never ran: then it has no keys yet.
func (w *World) publish(tuf *sigstore.TUF) error {
	if !there(w.trustedRoot()) {
		if _, err := w.sigstore(); err != nil {
			return err
		}
	}
	root, err := file.Read(w.trustedRoot(), signature.MaxTrust)
	if err != nil {
		return err
	}
	return tuf.Publish(map[string][]byte{trust.RootTarget: root, trust.SigningTarget: sigstore.SigningConfig})
}

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
func (w *World) signing(ctx context.Context, tag release.Tag, c *environment.Checkout) (sign.Config, error) {
	s, err := w.sigstore()
	if err != nil {
		return sign.Config{}, err
	}
	sc, err := w.Env.Sigstore.SigningConfig(ctx)
	if err != nil {
		return sign.Config{}, err
	}
	id := signature.Identity{Repository: w.Env.Config.Repository, Workflow: tag.Family.Workflow(), Tag: tag}
	url := s.TokenURL(id.Repository, id.Workflow, id.Ref(), c.Commit)
	return sign.Config{SigningConfig: sc, Token: sign.RequestToken(w.Env.Client(), url, s.Bearer(), sign.Audience),
		Transport: w.Env.Transport}, nil
}

// trust is the rehearsal's own trusted root, over TUF as in production; verifying starts no process.
func (w *World) trust(ctx context.Context) (root.TrustedMaterial, error) {
	if path := w.trustedRoot(); !there(path) {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "nothing was released in this rehearsal yet",
			Expected: path, Got: "no such file", Hint: "run `go tool mage release:kms` first"}
	}
	return w.Env.Sigstore.TrustedRoot(ctx)
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
