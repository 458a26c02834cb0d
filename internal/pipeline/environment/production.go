package environment

import (
	"cmp"
	"context"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/build"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/node/vm"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Production is the environment in which releases are real: the public
// Sigstore, Intel's root, and a clean checkout of the pushed tag. log hears what
// takes minutes, such as the first compilation of Packer.
func Production(dir, dist string, cfg *config.Config, log func(string)) (*Environment, error) {
	believed, err := productionRoots(dir)
	if err != nil {
		return nil, err
	}
	e := &Environment{Settings: Settings{
		Config: cfg, Root: dir, Dist: dist, Transport: http.DefaultTransport, Banner: believed.banner,
		GitHubToken: cfg.GitHubToken, RegistryAuth: registryAuth(cfg),
		DstackURL: cfg.DstackURL, DstackKey: cfg.DstackKey,
		TDXRoot: believed.tdx, GoogleRoot: believed.google, PlatformFile: believed.platform,
		ITA: ita.Config{URL: cmp.Or(cfg.ITAURL, ita.APIURL), Key: cfg.ITAKey, Root: believed.ita},
	}}
	if err := e.publicSigstore(believed.sigstore); err != nil {
		return nil, err
	}
	e.Checkout, e.Run, e.Signing, e.Cloud = e.taggedCheckout, e.workflowRun, e.actionsSigning, e.cloud
	e.Images = believed.images(e.builder(dir, cfg.GCPFamily, log))
	e.ImagesOf = func(root string) image.Images { return believed.images(e.builder(root, "", log)) }
	e.Nodes = func(purpose, run string, j journal.Journal) agent.Machines {
		return &vm.VMs{Project: cfg.GCPProject, Purpose: purpose, Run: gce.RunLabel(run),
			Client: func(ctx context.Context) (*gce.Client, error) { return e.Cloud(ctx, j) }}
	}
	_, err = e.Appraiser() // refuses a bad address now and not in the last step
	return e, err
}

// builder makes the images of a work tree.
func (e *Environment) builder(root, family string, log func(string)) *build.Builder {
	return build.New(context.Background(), build.Options{
		Root: root, Project: e.Config.GCPProject, Zone: e.Config.GCPZone, Family: family, Log: log,
		Cloud: e.Cloud, Fetch: build.Fetcher{Transport: e.Transport}, Env: e.packerEnvironment,
		Pins: func(names []string) ([]packer.Pin, error) { return packer.ReadPins(root, names) }})
}

// publicSigstore is the public instance, as its TUF repository describes it, which begins with a root.
func (e *Environment) publicSigstore(root []byte) error {
	cache, err := os.UserCacheDir()
	if err != nil {
		return &fault.Error{Code: fault.Usage, Message: "no folder for what Sigstore publishes", Err: err,
			Hint: "set XDG_CACHE_HOME or HOME"}
	}
	e.Sigstore = trust.New(trust.Options{Root: root, Cache: filepath.Join(cache, "mero-tee", "sigstore"),
		Transport: e.Transport})
	e.Trust = e.Sigstore.TrustedRoot
	return nil
}

// taggedCheckout: "in production a dirty tree, or a tag that is not at HEAD, stops the release".
func (e *Environment) taggedCheckout(ctx context.Context, tag release.Tag) (*Checkout, error) {
	head, err := git.Head(ctx, e.Root)
	if err != nil {
		return nil, err
	}
	dirty, err := git.Dirty(ctx, e.Root)
	if err != nil {
		return nil, err
	}
	if len(dirty) > 0 {
		return nil, &fault.Error{Code: fault.General, Message: "the work tree has changes that are not committed",
			Expected: "a clean checkout of " + tag.String(), Got: strings.Join(dirty, ", "),
			Hint: "commit or remove them; a rehearsal takes a dirty tree"}
	}
	if err := tagAtHead(ctx, e.Root, tag, head.Hash); err != nil {
		return nil, err
	}
	c := &Checkout{Commit: head.Hash, Time: head.Time, Policies: filepath.Join(e.Root, "policies"),
		HostTCB: filepath.Join(e.Root, tcb.HostFile),
		Catalog: filepath.Join(e.Root, e.Config.CatalogPath), Evidence: filepath.Join(e.Root, evidence.Dir),
		Notes: filepath.Join(e.Root, releases.Dir)}
	return c, nil
}

func tagAtHead(ctx context.Context, dir string, tag release.Tag, head string) error {
	tags, err := git.Tags(ctx, dir)
	if err != nil {
		return err
	}
	if slices.Contains(tags, tag.String()) {
		return nil
	}
	return &fault.Error{Code: fault.General, Message: "the tag is not at HEAD", Expected: tag.String() + " at " + head,
		Got: "tags here: " + strings.Join(tags, ", "), Hint: "check out the tag, or push it first"}
}

// workflowRun is what GitHub Actions says that this job belongs to.
func (e *Environment) workflowRun(_ context.Context, tag release.Tag) (int64, error) {
	if e.Config.RunID != 0 {
		return e.Config.RunID, nil
	}
	return 0, &fault.Error{Code: fault.Verification, Message: "a stable release is promoted by its workflow alone",
		Expected: "the run of " + tag.Family.Workflow() + " that a reviewer approved", Got: "GITHUB_RUN_ID is not set",
		Hint: "push the tag, and approve the run's job promote on GitHub; if it failed, re-run it there"}
}

// actionsSigning is the identity that GitHub Actions gives to this job.
func (e *Environment) actionsSigning(ctx context.Context, _ release.Tag, _ *Checkout) (sign.Config, error) {
	if e.Config.TokenRequestURL == "" || e.Config.TokenRequestToken == "" {
		return sign.Config{}, &fault.Error{Code: fault.Usage, Message: "no identity to sign with",
			Expected: "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN", Got: "not set",
			Hint: "keyless signing runs in the release workflow, with permission id-token: write"}
	}
	sc, err := e.Sigstore.SigningConfig(ctx)
	if err != nil {
		return sign.Config{}, err
	}
	return sign.Config{SigningConfig: sc, Token: e.identityToken(), Transport: e.Transport}, nil
}
