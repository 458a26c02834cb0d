package rehearsal

import (
	"context"
	"path/filepath"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// checkout does what people would have done before they push the tag. A work
// tree with changes is welcome here.
func (w *World) checkout(ctx context.Context, tag release.Tag) (*environment.Checkout, error) {
	if tag.Family == release.Node {
		return w.checkoutNode(ctx, tag)
	}
	return w.checkoutKMS(ctx, w.Env.Config, tag)
}

// checkoutKMS: the pairs are declared in the catalog, the node releases that it
// lists are out, their measurements are promoted into policies/, and the tag is pushed.
func (w *World) checkoutKMS(ctx context.Context, cfg *config.Config, tag release.Tag) (*environment.Checkout, error) {
	c, err := w.head(ctx)
	if err != nil {
		return nil, err
	}
	counterpart, err := cfg.Current(release.Node)
	if err != nil {
		return nil, err
	}
	if err := w.mergeCatalog(ctx, c.Catalog, tag, counterpart); err != nil {
		return nil, err
	}
	nodes, err := listedNodes(c.Catalog, tag, counterpart)
	if err != nil {
		return nil, err
	}
	published := make([][]byte, len(nodes))
	for i, node := range nodes {
		if published[i], err = w.seedNode(ctx, node, c); err != nil {
			return nil, fault.At("rehearsal", err)
		}
	}
	return c, w.merge(ctx, c, tag, published)
}

// checkoutNode: the key service that the node release is tested with is out,
// the pair is declared in the catalog, and the tag is pushed.
func (w *World) checkoutNode(ctx context.Context, tag release.Tag) (*environment.Checkout, error) {
	counterpart, err := w.Env.Config.Current(release.KMS)
	if err != nil {
		return nil, err
	}
	if err := w.seedKMS(ctx, counterpart); err != nil {
		return nil, fault.At("rehearsal", err)
	}
	c, err := w.head(ctx)
	if err != nil {
		return nil, err
	}
	if err := w.mergeCatalog(ctx, c.Catalog, counterpart, tag); err != nil {
		return nil, err
	}
	return c, w.merge(ctx, c, tag, nil)
}

// head is the work tree's commit, with the files that pull requests change kept elsewhere.
func (w *World) head(ctx context.Context) (*environment.Checkout, error) {
	head, err := git.Head(ctx, w.Env.Root)
	if err != nil {
		return nil, err
	}
	return &environment.Checkout{Commit: head.Hash, Time: head.Time,
		Policies: filepath.Join(w.State, "repository", "policies"), Catalog: filepath.Join(w.State, "repository", catalog.File),
		Notes: filepath.Join(w.State, "repository", "releases")}, nil
}

// merge is the pull requests, merged, and the push of the tag.
func (w *World) merge(ctx context.Context, c *environment.Checkout, tag release.Tag, published [][]byte) error {
	if err := w.mergePolicies(c.Policies, published); err != nil {
		return err
	}
	if err := w.pushMain(ctx, c, tag.Family); err != nil {
		return err
	}
	if err := w.writeNotes(ctx, c, tag); err != nil {
		return err
	}
	return w.pushTag(ctx, tag, c.Commit)
}
