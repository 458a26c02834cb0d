package kmsrelease

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/checksum"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/sign"
)

func bundles() []string {
	var out []string
	for _, name := range release.KMS.SignedAssets() {
		out = append(out, name+release.BundleSuffix)
	}
	return out
}

func (r *Release) checksums(context.Context, *pipeline.Work) error {
	_, err := checksum.Write(r.assets(), release.KMS.Assets())
	return err
}

// identity is whose signature this release must carry.
func (r *Release) identity() sign.Identity {
	return sign.Identity{Repository: r.Env.Config.Repository, Workflow: release.KMS.Workflow(), Tag: r.Tag, Commit: r.Checkout.Commit}
}

// sign signs or verifies: what was uploaded by an earlier, interrupted run is
// adopted, a bundle that verifies for the asset's digest is kept, and only the
// rest is signed, with one token, one key and one certificate.
func (r *Release) sign(ctx context.Context, w *pipeline.Work) error {
	if r.Env.Config.CosignPassword != "" {
		w.Infof("COSIGN_PASSWORD is set; keyless signing has no use for it")
	}
	trust, err := r.Env.Trust(ctx)
	if err != nil {
		return err
	}
	verifier, err := sign.NewVerifier(trust, r.identity())
	if err != nil {
		return err
	}
	if err := r.adoptBundles(ctx, w); err != nil {
		return err
	}
	signer := func(ctx context.Context) (*sign.Signer, error) {
		cfg, err := r.Env.Signing(ctx, r.Tag, r.Checkout)
		if err != nil {
			return nil, err
		}
		return sign.NewSigner(ctx, cfg)
	}
	result, err := sign.Files(ctx, signer, verifier, r.assets(), release.KMS.SignedAssets())
	if err != nil {
		return err
	}
	w.Infof("signed %d assets, kept %d bundles that verify", len(result.Signed), len(result.Kept))
	return nil
}
