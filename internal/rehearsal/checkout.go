package rehearsal

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/atomicfile"
	"github.com/calimero-network/mero-tee/internal/environment"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/git"
	"github.com/calimero-network/mero-tee/internal/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// checkout does what people would have done before they push the tag: the
// counterpart is released, its measurements are promoted into policies/, the
// pair is declared in the catalog, and the tag is pushed. A work tree with
// changes is welcome here.
func (w *World) checkout(ctx context.Context, tag release.Tag) (*environment.Checkout, error) {
	head, err := git.Head(ctx, w.Env.Root)
	if err != nil {
		return nil, err
	}
	c := &environment.Checkout{Commit: head.Hash, Time: head.Time,
		Policies: filepath.Join(w.State, "repository", "policies"), Catalog: filepath.Join(w.State, "repository", catalog.File)}
	node, err := release.ParseVersion(w.Env.Config.TEEVersion)
	if err != nil {
		return nil, err
	}
	counterpart := release.Tag{Family: release.Node, Version: node}
	published, err := w.seed(ctx, counterpart, c)
	if err != nil {
		return nil, fault.At("rehearsal", err)
	}
	if err := errors.Join(w.mergePolicies(c.Policies, published), w.mergeCatalog(c.Catalog, tag, counterpart)); err != nil {
		return nil, err
	}
	if err := w.pushMain(c); err != nil {
		return nil, err
	}
	return c, w.pushTag(ctx, tag, c.Commit)
}

// pushMain is the branch with those pull requests merged.
func (w *World) pushMain(c *environment.Checkout) error {
	data, err := os.ReadFile(c.Catalog)
	if err != nil {
		return err
	}
	return w.github.Push("refs/heads/main", c.Commit, map[string][]byte{catalog.Path: data})
}

// mergePolicies is the policy-promotion pull request, merged.
func (w *World) mergePolicies(dir string, published []byte) error {
	working, err := policies.LoadDir(os.DirFS(filepath.Join(w.Env.Root, "policies")))
	if err != nil {
		return err
	}
	evidence, err := policies.EvidenceOf(published)
	if err != nil {
		return err
	}
	for profile, p := range working {
		promoted, err := policies.Promote(p, evidence)
		if err != nil {
			return err
		}
		data, err := promoted.Encode()
		if err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(dir, policies.File(profile)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mergeCatalog is the pull request that declares the pair, merged.
func (w *World) mergeCatalog(path string, a, b release.Tag) error {
	source := w.Env.Config.CatalogPath
	if source == "" {
		source = catalog.Path
	}
	if !filepath.IsAbs(source) {
		source = filepath.Join(w.Env.Root, source)
	}
	data, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	if w.Env.Config.CatalogPath != "" { // somebody's own catalog is taken as it is
		return atomicfile.Write(path, data, 0o644)
	}
	c, err := catalog.Decode(data)
	if err != nil {
		return err
	}
	if c, err = catalog.Declare(c, catalog.PairOf(a, b), "rehearsed pair"); err != nil {
		return err
	}
	if data, err = c.Encode(); err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o644)
}

// pushTag makes the tag on the local GitHub. A tag never moves.
func (w *World) pushTag(ctx context.Context, tag release.Tag, commit string) error {
	client, err := w.client()
	if err != nil {
		return err
	}
	at, err := client.TagCommit(ctx, tag.String())
	switch {
	case errors.Is(err, github.ErrNotFound):
		return w.github.Push("refs/tags/"+tag.String(), commit, nil)
	case err != nil:
		return err
	case at != commit:
		next, err := nextFree(ctx, client, tag)
		if err != nil {
			return err
		}
		return &fault.Error{Code: fault.General, Message: tag.String() + " was rehearsed from another commit",
			Expected: at, Got: commit, Hint: "a tag never moves: release the next free one, -tag=" + next.String() + ", or run `go tool mage rehearse:reset`"}
	}
	return nil
}

// nextFree is the smallest version above tag's that no tag has.
func nextFree(ctx context.Context, client *github.Client, tag release.Tag) (release.Tag, error) {
	tags, err := client.Tags(ctx)
	taken := map[string]bool{}
	for _, t := range tags {
		taken[t.Name] = true
	}
	for {
		tag.Version = tag.Version.NextPatch()
		if !taken[tag.String()] {
			return tag, err
		}
	}
}

func (w *World) client() (*github.Client, error) {
	return github.New(github.Options{Repository: w.Env.Config.Repository, Token: token, Transport: w.Env.Transport})
}
