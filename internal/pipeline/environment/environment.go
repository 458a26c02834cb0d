// Package environment is where a release happens: endpoints, credentials and
// trust roots, and nothing else.
//
// Its promise: production and rehearsal are two values of one type. No step
// asks which of them it runs in.
package environment

import (
	"context"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Environment is what a release talks to and whom it believes.
type Environment struct {
	Config *config.Config
	Root   string // the repository's folder
	Dist   string // where releases are staged: dist/{tag}/
	Banner string // what must be said in anything made here; empty in production

	Transport    http.RoundTripper // the only way out
	GitHubToken  config.Secret
	RegistryAuth authn.Authenticator
	DstackURL    string
	DstackKey    config.Secret

	TDXRoot      [32]byte // SHA-256 of the one TDX root certificate that is believed
	PlatformFile string   // registers of the dstack OS, see measurement.Platform

	ITA ita.Config // whom to ask about quotes besides; without a key nobody is asked

	// Checkout says which commit the tag is released from, or why it may not be.
	Checkout func(context.Context, release.Tag) (*Checkout, error)
	// Signing returns what a signer of this tag needs. It may start what it returns.
	Signing func(context.Context, release.Tag, *Checkout) (sign.Config, error)
	// Trust returns whom a verifier believes.
	Trust func(context.Context) (root.TrustedMaterial, error)
	// Nodes boots nodes from the images of node releases, for a purpose ("measure",
	// "e2e") and a run, whose name is the same when it is begun again. Every
	// machine is journalled before it is made; journal may be nil.
	Nodes func(purpose, run string, journal func(event, subject string) error) agent.Nodes
	// Images makes node images.
	Images image.Images
	// Cloud is Google Compute Engine, as this environment's own account there.
	Cloud func(ctx context.Context, journal func(event, subject string) error) (*gce.Client, error)
}

// Checkout is the state of the repository that a release is made from.
type Checkout struct {
	Commit   string    // 40 hex digits
	Time     time.Time // the commit's: SOURCE_DATE_EPOCH of everything that is made
	Policies string    // folder of the working policies
	Catalog  string    // path of the compatibility catalog
	Notes    string    // folder of what people wrote for each release
}

// GitHub is the repository's GitHub, as whoever the token belongs to.
func (e *Environment) GitHub() (*github.Client, error) {
	return github.New(github.Options{Repository: e.Config.Repository, Token: e.GitHubToken.Reveal(), Transport: e.Transport})
}

// Verifier believes the environment's TDX root, with collateral as of now.
func (e *Environment) Verifier() (*tdx.Verifier, error) {
	return tdx.NewVerifier(tdx.Config{Root: e.TDXRoot, Collateral: tdx.NewCollateral(e.Client()), Now: time.Now})
}

// Client is an HTTP client on the environment's transport, with a deadline.
func (e *Environment) Client() *http.Client {
	return &http.Client{Transport: e.Transport, Timeout: 2 * time.Minute}
}
