// Package environment is the world that a release meets: the real one, or a
// rehearsal of it.
//
// Its promise: the two are values of one type, Environment, and differ in
// transport, credentials and trust roots, never in code; each client is made
// once, at its first use; and no other package reveals a secret.
package environment

import (
	"context"
	"net/http"
	"path/filepath"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/sigstore/sigstore-go/pkg/root"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Environment is what a release talks to and whom it believes. Its settings are
// complete before the first client is asked for; another environment with the
// same settings has clients of its own.
type Environment struct {
	Settings
	clients clients
}

// Settings are what the environments differ in.
type Settings struct {
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
	GoogleRoot   [32]byte // SHA-256 of the one root certificate that vouches for Google's firmware
	PlatformFile string   // registers of the dstack OS images, see measurement.Platforms

	// ITA is whom to ask about quotes besides: nobody without a key, and through
	// Transport unless it has a transport of its own.
	ITA ita.Config

	// Checkout says which commit the tag is released from, or why it may not be.
	Checkout func(context.Context, release.Tag) (*Checkout, error)
	// Run is the workflow run on GitHub that this process is a part of: a promotion
	// needs the approval of its own run.
	Run func(context.Context, release.Tag) (int64, error)
	// Signing returns what a signer of this tag needs. It may start what it returns.
	Signing func(context.Context, release.Tag, *Checkout) (sign.Config, error)
	// Sigstore is where Signing and Trust learn whom to believe.
	Sigstore *trust.Repository
	// Trust returns whom a verifier believes.
	Trust func(context.Context) (root.TrustedMaterial, error)
	// Nodes boots nodes from the images of node releases, for a purpose ("measure",
	// "e2e") and a run, whose name is the same when it is begun again. Every
	// machine is journalled before it is made; the journal may be nil.
	Nodes func(purpose, run string, j journal.Journal) agent.Machines
	// Able says, before a release of the family begins, whether it can be built and
	// tested here; nil where that is others' machines' to say.
	Able func(context.Context, release.Family) error
	// Images makes node images.
	Images image.Images
	// ImagesOf makes those of another work tree, whose images join no family: nobody boots them.
	ImagesOf func(root string) image.Images
	// Cloud is Google Compute Engine, as this environment's own account there.
	Cloud func(ctx context.Context, j journal.Journal) (*gce.Client, error)
}

// Platforms is the path of PlatformFile in the repository, as a commit has it; empty where there is none.
func (s *Settings) Platforms() string {
	path, err := filepath.Rel(s.Root, s.PlatformFile)
	if err != nil || s.PlatformFile == "" {
		return ""
	}
	return filepath.ToSlash(path)
}

// Checkout is the state of the repository that a release is made from.
type Checkout struct {
	Commit   string    // 40 hex digits
	Time     time.Time // the commit's: SOURCE_DATE_EPOCH of everything that is made
	Policies string    // folder of the working policies
	HostTCB  string    // path of the TCB list of the key service's host
	Catalog  string    // path of the compatibility catalog
	Evidence string    // folder of the evidence of E2E
	Notes    string    // folder of what people wrote for each release
}
