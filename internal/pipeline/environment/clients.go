package environment

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Everything that reveals a secret is in this file.

// clients are made when they are first asked for.
type clients struct {
	github     once[*github.Client]
	dstack     once[*dstack.Client]
	appraiser  once[*ita.Client]
	verifier   once[*tdx.Verifier]
	collateral once[*tdx.Collateral]
}

type once[T any] struct {
	sync.Once
	value T
	err   error
}

func (o *once[T]) get(open func() (T, error)) (T, error) {
	o.Do(func() { o.value, o.err = open() })
	return o.value, o.err
}

// Client is an HTTP client on the environment's transport, with a deadline.
func (e *Environment) Client() *http.Client {
	return &http.Client{Transport: e.Transport, Timeout: 2 * time.Minute}
}

// GitHub is the repository's GitHub, as whoever the token belongs to.
func (e *Environment) GitHub() (*github.Client, error) {
	return e.clients.github.get(func() (*github.Client, error) {
		return github.New(github.Options{Repository: e.Config.Repository, Token: e.GitHubToken.Reveal(),
			Transport: e.Transport})
	})
}

// Dstack is the provider that runs the key service.
func (e *Environment) Dstack() *dstack.Client {
	client, _ := e.clients.dstack.get(func() (*dstack.Client, error) {
		return dstack.New(e.DstackURL, e.DstackKey.Reveal(), e.Transport), nil
	})
	return client
}

// Appraiser is Intel Trust Authority; nil without a key for it.
func (e *Environment) Appraiser() (*ita.Client, error) {
	if e.ITA.Key == "" {
		return nil, nil
	}
	return e.clients.appraiser.get(func() (*ita.Client, error) {
		c := e.ITA
		if c.Transport == nil {
			c.Transport = e.Transport
		}
		var err error
		if c.Verifier, err = e.Verifier(); err != nil {
			return nil, err
		}
		return ita.New(c)
	})
}

// Collateral is what Intel's service says of platforms, fetched once for all
// verifiers of this environment.
func (e *Environment) Collateral() *tdx.Collateral {
	c, _ := e.clients.collateral.get(func() (*tdx.Collateral, error) { return tdx.NewCollateral(e.Client()), nil })
	return c
}

// Endorsements are what Google has signed of its firmware, not verified yet.
func (e *Environment) Endorsements() *endorsement.Client {
	return &endorsement.Client{HTTP: e.Client()}
}

// Verifier believes the environment's TDX root, with collateral as of now.
func (e *Environment) Verifier() (*tdx.Verifier, error) {
	return e.clients.verifier.get(func() (*tdx.Verifier, error) { return e.VerifierOf(e.Collateral()) })
}

// VerifierOf is a verifier with a collateral source of its own, such as one
// that records what a verdict rests on.
func (e *Environment) VerifierOf(source tdx.CollateralSource) (*tdx.Verifier, error) {
	return tdx.NewVerifier(tdx.Config{Root: e.TDXRoot, Collateral: source, Now: time.Now})
}

// Secrets lists every secret value of the environment, which nothing printed may hold.
func (e *Environment) Secrets() []string {
	c := e.Config
	var out []string
	for _, s := range []config.Secret{e.GitHubToken, e.DstackKey, e.ITA.Key, c.GitHubToken, c.DstackKey, c.ITAKey,
		c.GCPKey, c.RegistryToken, c.CosignPassword, c.TokenRequestToken} {
		out = append(out, s.Reveal())
	}
	if e.RegistryAuth != nil {
		if a, err := e.RegistryAuth.Authorization(); err == nil {
			out = append(out, a.Password, a.RegistryToken, a.IdentityToken, a.Auth)
		}
	}
	return out
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
func (e *Environment) cloud(ctx context.Context, j journal.Journal) (*gce.Client, error) {
	return gce.New(ctx, gce.Options{Project: e.Config.GCPProject, Zone: e.Config.GCPZone,
		Key: []byte(e.Config.GCPKey.Reveal()), Transport: e.Transport, Journal: j})
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

// identityToken asks GitHub Actions for the identity of this job.
func (e *Environment) identityToken() sign.TokenSource {
	return sign.RequestToken(e.Client(), e.Config.TokenRequestURL, e.Config.TokenRequestToken.Reveal(), sign.Audience)
}
