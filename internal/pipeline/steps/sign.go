package steps

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/internal/artifact/checksum"
	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/artifact/signature"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// WriteSBOM lets syft read the sources, and stages what it says if that passes
// check: what the document must list is known from elsewhere.
func (r *Release) WriteSBOM(ctx context.Context, w *pipeline.Work, name string, sources []sbom.Source,
	check func(data []byte) error) error {
	syft, err := gobuild.Build(ctx, sbom.Program(r.Env.Root), func(line string) { w.Noticef("%s", line) })
	if err != nil {
		return err
	}
	data, err := sbom.Generate(ctx, sbom.Options{Syft: syft, Sources: sources, Name: name,
		Version: r.Tag.Version.String(), Epoch: r.Checkout.Time, Repository: r.Env.Config.Repository})
	if err != nil {
		return err
	}
	if err := check(data); err != nil {
		return err
	}
	return r.WriteAsset(release.SBOMAsset, data)
}

// Bundles are the names of the signatures.
func (r *Release) Bundles() []string { return bundles(r.Tag.Family) }

func bundles(f release.Family) []string {
	var out []string
	for _, name := range f.SignedAssets() {
		out = append(out, name+release.BundleSuffix)
	}
	return out
}

// Checksums writes checksums.sha256 over every asset.
func (r *Release) Checksums(context.Context, *pipeline.Work) error {
	_, err := checksum.Write(r.Assets(), r.Tag.Family.Assets())
	return err
}

// identity is whose signature this release must carry.
func (r *Release) identity() signature.Identity {
	return signature.Identity{Repository: r.Env.Config.Repository, Workflow: r.Tag.Family.Workflow(), Tag: r.Tag,
		Commit: r.Checkout.Commit}
}

// Sign signs or verifies: what was uploaded by an earlier, interrupted run is
// adopted, a bundle that verifies for the asset's digest is kept, and only the
// rest is signed, with one token, one key and one certificate.
func (r *Release) Sign(ctx context.Context, w *pipeline.Work) error {
	if r.Env.Config.CosignPassword != "" {
		w.Infof("COSIGN_PASSWORD is set; keyless signing has no use for it")
	}
	trust, err := r.Env.Trust(ctx)
	if err != nil {
		return err
	}
	verifier, err := signature.NewVerifier(trust, r.identity())
	if err != nil {
		return err
	}
	if err := r.adoptBundles(ctx, w); err != nil {
		return err
	}
	begun := false
	signer := func(ctx context.Context) (*sign.Signer, error) { // asked for once, when something is to be signed
		begun = true
		if err := w.Begin(journal.Signature, r.Tag.String()); err != nil {
			return nil, err
		}
		return r.signer(ctx)
	}
	result, err := sign.Files(ctx, signer, verifier, r.Assets(), r.Tag.Family.SignedAssets())
	if begun {
		err = errors.Join(err, w.End(journal.Signature, r.Tag.String(), err))
	}
	if err != nil {
		return err
	}
	w.Infof("signed %d assets, kept %d bundles that verify", len(result.Signed), len(result.Kept))
	return nil
}

func (r *Release) signer(ctx context.Context) (*sign.Signer, error) {
	cfg, err := r.Env.Signing(ctx, r.Tag, r.Checkout)
	if err != nil {
		return nil, err
	}
	return sign.NewSigner(ctx, cfg)
}
