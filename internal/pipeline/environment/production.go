package environment

import (
	"cmp"
	"context"
	"net/http"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/build"
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
	intel, err := tdx.ParseRoot(tdx.IntelRootSHA256)
	if err != nil {
		return nil, err
	}
	appraiser, err := intelTrustAuthority(cfg)
	if err != nil {
		return nil, err
	}
	e := &Environment{
		Config: cfg, Root: dir, Dist: dist, Transport: http.DefaultTransport,
		GitHubToken: cfg.GitHubToken, RegistryAuth: registryAuth(cfg),
		DstackURL: cfg.DstackURL, DstackKey: cfg.DstackKey,
		TDXRoot: intel, PlatformFile: filepath.Join(dir, "docker/mero-kms/dstack-platform.json"),
		ITA:   appraiser,
		Trust: func(context.Context) (root.TrustedMaterial, error) { return sign.TrustedRoot("") },
	}
	e.Checkout, e.Signing, e.Cloud = e.taggedCheckout, e.actionsSigning, e.cloud
	e.Images = build.New(context.Background(), build.Options{Root: dir, Project: cfg.GCPProject, Zone: cfg.GCPZone, Family: cfg.GCPFamily,
		Cloud: e.Cloud, Fetch: build.Fetcher{Transport: e.Transport}, Env: e.packerEnvironment,
		Pins: func(names []string) ([]packer.Pin, error) { return packer.ReadPins(dir, names) },
		Log:  log})
	e.Nodes = func(purpose, run string, journal func(event, subject string) error) agent.Nodes {
		return &vm.VMs{Project: cfg.GCPProject, Purpose: purpose, Run: gce.RunLabel(run),
			Client: func(ctx context.Context) (*gce.Client, error) { return e.Cloud(ctx, journal) }}
	}
	return e, nil
}

// intelTrustAuthority refuses a bad address now and not in the last step.
func intelTrustAuthority(cfg *config.Config) (ita.Config, error) {
	root, err := tdx.ParseRoot(ita.IntelRootSHA256)
	c := ita.Config{URL: cmp.Or(cfg.ITAURL, ita.APIURL), Key: cfg.ITAKey, Root: root, Transport: http.DefaultTransport}
	if err == nil && c.Key != "" {
		_, err = ita.New(c)
	}
	return c, err
}

func registryAuth(cfg *config.Config) authn.Authenticator {
	if cfg.RegistryToken == "" {
		return authn.Anonymous
	}
	owner, _, _ := strings.Cut(cfg.Repository, "/")
	return &authn.Basic{Username: owner, Password: cfg.RegistryToken.Reveal()}
}

// cloud is the project of GCP_PROJECT_ID. Without GCP_SERVICE_ACCOUNT_KEY the
// machine's own credentials are used, such as a workload identity's.
func (e *Environment) cloud(ctx context.Context, journal func(event, subject string) error) (*gce.Client, error) {
	return gce.New(ctx, gce.Options{Project: e.Config.GCPProject, Zone: e.Config.GCPZone, Key: []byte(e.Config.GCPKey.Reveal()),
		Transport: e.Transport, Journal: journal})
}

// packerEnvironment is how Packer gets at the project: the key, or the file that
// a workload identity's credentials lie in.
func (e *Environment) packerEnvironment() ([]string, error) {
	if key := e.Config.GCPKey.Reveal(); key != "" {
		return []string{"GOOGLE_CREDENTIALS=" + key}, nil
	}
	if file := e.Config.GCPCredentials; file != "" {
		return []string{"GOOGLE_APPLICATION_CREDENTIALS=" + file}, nil
	}
	return nil, &fault.Error{Code: fault.Usage, Message: "no credentials for Google Cloud",
		Expected: "GCP_SERVICE_ACCOUNT_KEY, or GOOGLE_APPLICATION_CREDENTIALS of a workload identity", Got: "neither"}
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
			Expected: "a clean checkout of " + tag.String(), Got: strings.Join(dirty, ", "), Hint: "commit or remove them; a rehearsal takes a dirty tree"}
	}
	if err := tagAtHead(ctx, e.Root, tag, head.Hash); err != nil {
		return nil, err
	}
	c := &Checkout{Commit: head.Hash, Time: head.Time, Policies: filepath.Join(e.Root, "policies"),
		Catalog: filepath.Join(e.Root, catalog.Path), Notes: filepath.Join(e.Root, releases.Dir)}
	if e.Config.CatalogPath != "" {
		c.Catalog = filepath.Join(e.Root, e.Config.CatalogPath)
	}
	return c, nil
}

func tagAtHead(ctx context.Context, dir string, tag release.Tag, head string) error {
	tags, err := git.Tags(ctx, dir)
	if err != nil {
		return err
	}
	for _, t := range tags {
		if t == tag.String() {
			return nil
		}
	}
	return &fault.Error{Code: fault.General, Message: "the tag is not at HEAD",
		Expected: tag.String() + " at " + head, Got: "tags here: " + strings.Join(tags, ", "), Hint: "check out the tag, or push it first"}
}

// actionsSigning is the identity that GitHub Actions gives to this job.
func (e *Environment) actionsSigning(context.Context, release.Tag, *Checkout) (sign.Config, error) {
	if e.Config.TokenRequestURL == "" || e.Config.TokenRequestToken == "" {
		return sign.Config{}, &fault.Error{Code: fault.Usage, Message: "no identity to sign with",
			Expected: "ACTIONS_ID_TOKEN_REQUEST_URL and ACTIONS_ID_TOKEN_REQUEST_TOKEN", Got: "not set",
			Hint: "keyless signing runs in the release workflow, with permission id-token: write"}
	}
	sc, err := sign.SigningConfig("")
	if err != nil {
		return sign.Config{}, err
	}
	token := sign.RequestToken(e.Client(), e.Config.TokenRequestURL, e.Config.TokenRequestToken.Reveal(), sign.Audience)
	return sign.Config{SigningConfig: sc, Token: token, Transport: e.Transport}, nil
}
