package rehearsal

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
)

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
	c, err := catalog.Read(path)
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
		if err := file.Write(filepath.Join(dir, policies.File(profile)), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// mergeCatalog is the pull request that declares the pair, merged. A key
// service is declared with the node release before its counterpart too, as one
// that nodes are upgraded under must be.
func (w *World) mergeCatalog(ctx context.Context, path string, kms, node release.Tag) error {
	data, err := w.catalog(ctx)
	if err != nil {
		return err
	}
	c, err := catalog.Decode(data)
	if err != nil {
		return err
	}
	if c, err = catalog.Declare(c, catalog.PairOf(kms, node), "rehearsed pair"); err != nil {
		return err
	}
	lower := kms.Version.Final() // a hotfix of the key service keeps the node release that it had
	if node.Version.Compare(lower) < 0 {
		lower = node.Version.Final()
	}
	older := release.Tag{Family: release.Node, Version: before(lower)}
	if c, err = catalog.Declare(c, catalog.PairOf(kms, older), "rehearsed older node release"); err != nil {
		return err
	}
	if data, err = c.Encode(); err != nil {
		return err
	}
	return file.Write(path, data, 0o644)
}

// catalog is the one of the work tree together with what was merged in this rehearsal.
func (w *World) catalog(ctx context.Context) (data []byte, err error) {
	if data, err = catalog.ReadBytes(filepath.Join(w.Env.Root, w.Env.Config.CatalogPath)); err != nil {
		return nil, err
	}
	client, err := w.Env.GitHub()
	if err != nil {
		return nil, err
	}
	there, err := client.ReadFile(ctx, w.Env.Config.CatalogPath, propose.Base)
	if errors.Is(err, github.ErrNotFound) {
		return data, nil
	}
	if err != nil {
		return nil, err
	}
	return merged(there, data)
}

// before is a final version that may have come before v.
func before(v release.Version) release.Version {
	switch {
	case v.Patch > 0:
		return release.Version{Major: v.Major, Minor: v.Minor, Patch: v.Patch - 1}
	case v.Minor == 1 && v.Major == 0: // 0.0.0 is none
		return release.Version{Patch: 9}
	case v.Minor > 0: // and not a patch of it, which would be a hotfix
		return release.Version{Major: v.Major, Minor: v.Minor - 1}
	case v.Major > 0:
		return release.Version{Major: v.Major - 1, Minor: 9}
	}
	return release.Version{}
}

// writeNotes is what people would have written for the release: the file of the
// repository when there is one, else a statement that it is a rehearsal.
func (w *World) writeNotes(ctx context.Context, c *environment.Checkout, tag release.Tag) error {
	data, err := os.ReadFile(filepath.Join(w.Env.Root, releases.Path(tag)))
	if errors.Is(err, fs.ErrNotExist) {
		data, err = w.statement(ctx, c, tag)
	}
	if err != nil || data == nil {
		return err
	}
	return file.Write(filepath.Join(c.Notes, releases.File(tag)), data, 0o644)
}

func (w *World) statement(ctx context.Context, c *environment.Checkout, tag release.Tag) ([]byte, error) {
	client, err := w.Env.GitHub()
	if err != nil {
		return nil, err
	}
	tags, err := client.Tags(ctx)
	if err != nil {
		return nil, err
	}
	all, err := client.Releases(ctx)
	if err != nil {
		return nil, err
	}
	subject := plan.Subject{Tag: tag, Commit: c.Commit, Tags: map[string]string{}, Stable: plan.Published(all)}
	for _, t := range tags {
		subject.Tags[t.Name] = t.Commit
	}
	return Statement(ctx, w.Env.Root, subject)
}

// Statement is what a rehearsal writes for a release: every section that its
// class wants says that it is a rehearsal. Nil for a release that cannot be of
// any class, of which the plan will say so.
func Statement(ctx context.Context, root string, s plan.Subject) ([]byte, error) {
	decided, err := plan.Decide(ctx, s, plan.Repository(root))
	if err != nil {
		return nil, nil //nolint:nilerr // nobody could have written anything
	}
	changed := make([]string, len(decided.Diff))
	for i, c := range decided.Diff {
		changed[i] = c.Path
	}
	return notes.Statement(s.Tag, decided.Class, "This is a rehearsal: there is nothing to tell.", "REHEARSAL-1",
		changed...), nil
}
