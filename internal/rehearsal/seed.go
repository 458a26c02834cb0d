package rehearsal

import (
	"bytes"
	"context"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/atomicfile"
	"github.com/calimero-network/mero-tee/internal/checksum"
	"github.com/calimero-network/mero-tee/internal/environment"
	"github.com/calimero-network/mero-tee/internal/github"
	"github.com/calimero-network/mero-tee/internal/publish"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/sign"
)

// seed releases the counterpart node image unless it is released, and returns
// its published-mrtds.json. The registers come from verified quotes of
// simulated nodes whose agents extended RTMR3 themselves.
func (w *World) seed(ctx context.Context, tag release.Tag, c *environment.Checkout) ([]byte, error) {
	client, err := w.client()
	if err != nil {
		return nil, err
	}
	if data, err := w.seeded(ctx, client, tag); err != nil || data != nil {
		return data, err
	}
	w.console.Infof("rehearsal: releasing the simulated counterpart %s", tag)
	dir := filepath.Join(w.State, "seed", tag.String())
	data, err := w.measureNodes(ctx, tag, c.Commit)
	if err != nil {
		return nil, err
	}
	if err := atomicfile.Write(filepath.Join(dir, release.MeasurementsAsset), data, 0o644); err != nil {
		return nil, err
	}
	return data, w.releaseNode(ctx, client, tag, c, dir)
}

// seeded returns the measurements of the counterpart if it is public, nil otherwise.
func (w *World) seeded(ctx context.Context, client *github.Client, tag release.Tag) ([]byte, error) {
	releases, err := client.Releases(ctx)
	if err != nil {
		return nil, err
	}
	for _, r := range releases {
		if r.TagName != tag.String() || r.Draft {
			continue
		}
		for _, a := range r.Assets {
			if a.Name == release.MeasurementsAsset {
				var b bytes.Buffer
				err := client.Download(ctx, a, &b)
				return b.Bytes(), err
			}
		}
	}
	return nil, nil
}

// releaseNode signs and publishes through production's own packages.
func (w *World) releaseNode(ctx context.Context, client *github.Client, tag release.Tag, c *environment.Checkout, dir string) error {
	if err := w.pushTag(ctx, tag, c.Commit); err != nil {
		return err
	}
	if _, err := checksum.Write(dir, release.Node.Assets()); err != nil {
		return err
	}
	signing, err := w.signing(ctx, tag, c)
	if err != nil {
		return err
	}
	trust, err := w.trust(ctx)
	if err != nil {
		return err
	}
	v, err := sign.NewVerifier(trust, sign.Identity{Repository: w.Env.Config.Repository, Workflow: tag.Family.Workflow(), Tag: tag, Commit: c.Commit})
	if err != nil {
		return err
	}
	signer := func(ctx context.Context) (*sign.Signer, error) { return sign.NewSigner(ctx, signing) }
	if _, err := sign.Files(ctx, signer, v, dir, release.Node.SignedAssets()); err != nil {
		return err
	}
	p := &publish.Publisher{GitHub: client}
	draft, _, err := p.Fill(ctx, publish.Plan{Tag: tag, Commit: c.Commit, Title: tag.String(),
		Notes: "> " + Banner + "\n\nThe counterpart that a rehearsed KMS release needs.\n", Dir: dir, Names: release.Node.ExpectedAssets()})
	if err != nil {
		return err
	}
	public, err := p.MakePublic(ctx, draft)
	if err != nil || !tag.Stable() {
		return err
	}
	_, err = p.Promote(ctx, public, publish.Digests(draft))
	return err
}
