package rehearsal

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"

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
// pairs are declared in the catalog, the node releases that it lists are out,
// their measurements are promoted into policies/, and the tag is pushed. A work
// tree with changes is welcome here.
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
	if err := w.mergeCatalog(c.Catalog, tag, counterpart); err != nil {
		return nil, err
	}
	nodes, err := listedNodes(c.Catalog, tag, counterpart)
	if err != nil {
		return nil, err
	}
	published := make([][]byte, len(nodes))
	for i, node := range nodes {
		if published[i], err = w.seed(ctx, node, c); err != nil {
			return nil, fault.At("rehearsal", err)
		}
	}
	if err := w.mergePolicies(c.Policies, published); err != nil {
		return nil, err
	}
	if err := w.pushMain(ctx, c); err != nil {
		return nil, err
	}
	return c, w.pushTag(ctx, tag, c.Commit)
}

// pushMain is the branch with those pull requests merged. It loses no pair that
// an earlier release declared.
func (w *World) pushMain(ctx context.Context, c *environment.Checkout) error {
	data, err := os.ReadFile(c.Catalog)
	if err != nil {
		return err
	}
	client, err := w.client()
	if err != nil {
		return err
	}
	before, err := client.ReadFile(ctx, catalog.Path, "main")
	if err == nil {
		data, err = merged(before, data)
	}
	if err != nil && !errors.Is(err, github.ErrNotFound) {
		return err
	}
	return w.github.Push("refs/heads/main", c.Commit, map[string][]byte{catalog.Path: data})
}

// merged is the second catalog with the first one's entries.
func merged(before, now []byte) ([]byte, error) {
	old, err := catalog.Decode(before)
	if err != nil {
		return nil, err
	}
	c, err := catalog.Decode(now)
	if err != nil {
		return nil, err
	}
	if c, err = catalog.Merge(c, old.Entries); err != nil {
		return nil, err
	}
	return c.Encode()
}

// listedNodes are the node releases that the catalog lists with the key
// service's tag, the counterpart among them, oldest first.
func listedNodes(path string, kms, counterpart release.Tag) ([]release.Tag, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	c, err := catalog.Decode(data)
	if err != nil {
		return nil, err
	}
	out := []release.Tag{counterpart}
	for _, e := range c.Entries {
		node := release.Tag{Family: release.Node, Version: e.NodeImage}
		if e.KMS == kms.Version.Final() && e.NodeImage != counterpart.Version.Final() && !slices.Contains(out, node) {
			out = append(out, node)
		}
	}
	slices.SortFunc(out, func(a, b release.Tag) int { return a.Version.Compare(b.Version) })
	return out, nil
}

// mergePolicies is the policy-promotion pull requests, merged: one for each
// node release's published-mrtds.json.
func (w *World) mergePolicies(dir string, published [][]byte) error {
	working, err := policies.LoadDir(os.DirFS(filepath.Join(w.Env.Root, "policies")))
	if err != nil {
		return err
	}
	for profile, p := range working {
		for _, data := range published {
			evidence, err := policies.EvidenceOf(data)
			if err != nil {
				return err
			}
			if p, err = policies.Promote(p, evidence); err != nil {
				return err
			}
		}
		data, err := p.Encode()
		if err != nil {
			return err
		}
		if err := atomicfile.Write(filepath.Join(dir, policies.File(profile)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mergeCatalog is the pull request that declares the pair, merged. The key
// service is declared with the node release before the counterpart too, as one
// that nodes are upgraded under must be.
func (w *World) mergeCatalog(path string, kms, node release.Tag) error {
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
	if c, err = catalog.Declare(c, catalog.PairOf(kms, node), "rehearsed pair"); err != nil {
		return err
	}
	older := release.Tag{Family: release.Node, Version: before(node.Version)}
	if c, err = catalog.Declare(c, catalog.PairOf(kms, older), "rehearsed older node release"); err != nil {
		return err
	}
	if data, err = c.Encode(); err != nil {
		return err
	}
	return atomicfile.Write(path, data, 0o644)
}

// before is a final version that may have come before v.
func before(v release.Version) release.Version {
	switch {
	case v.Patch > 0:
		return release.Version{Major: v.Major, Minor: v.Minor, Patch: v.Patch - 1}
	case v.Minor > 0:
		return release.Version{Major: v.Major, Minor: v.Minor - 1, Patch: 9}
	case v.Major > 0:
		return release.Version{Major: v.Major - 1, Minor: 9}
	}
	return release.Version{}
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
