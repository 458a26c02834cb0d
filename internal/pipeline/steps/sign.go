package steps

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/artifact/checksum"
	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Bundles are the names of the signatures.
func (l *Lane) Bundles() []string { return bundles(l.Tag.Family) }

func bundles(f release.Family) []string {
	var out []string
	for _, name := range f.SignedAssets() {
		out = append(out, name+release.BundleSuffix)
	}
	return out
}

// Checksums writes checksums.sha256 over every asset.
func (l *Lane) Checksums(context.Context, *pipeline.Work) error {
	_, err := checksum.Write(l.Assets(), l.Tag.Family.Assets())
	return err
}

// identity is whose signature this release must carry.
func (l *Lane) identity() sign.Identity {
	return sign.Identity{Repository: l.Env.Config.Repository, Workflow: l.Tag.Family.Workflow(), Tag: l.Tag, Commit: l.Checkout.Commit}
}

// Sign signs or verifies: what was uploaded by an earlier, interrupted run is
// adopted, a bundle that verifies for the asset's digest is kept, and only the
// rest is signed, with one token, one key and one certificate.
func (l *Lane) Sign(ctx context.Context, w *pipeline.Work) error {
	if l.Env.Config.CosignPassword != "" {
		w.Infof("COSIGN_PASSWORD is set; keyless signing has no use for it")
	}
	trust, err := l.Env.Trust(ctx)
	if err != nil {
		return err
	}
	verifier, err := sign.NewVerifier(trust, l.identity())
	if err != nil {
		return err
	}
	if err := l.adoptBundles(ctx, w); err != nil {
		return err
	}
	result, err := sign.Files(ctx, l.signer, verifier, l.Assets(), l.Tag.Family.SignedAssets())
	if err != nil {
		return err
	}
	w.Infof("signed %d assets, kept %d bundles that verify", len(result.Signed), len(result.Kept))
	return nil
}

func (l *Lane) signer(ctx context.Context) (*sign.Signer, error) {
	cfg, err := l.Env.Signing(ctx, l.Tag, l.Checkout)
	if err != nil {
		return nil, err
	}
	return sign.NewSigner(ctx, cfg)
}
