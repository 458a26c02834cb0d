package rehearsal

import (
	"context"
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/propose"
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
		Policies: filepath.Join(w.State, "repository", "policies"),
		HostTCB:  filepath.Join(w.Env.Root, tcb.HostFile),
		Catalog:  filepath.Join(w.State, "repository", catalog.File),
		Evidence: filepath.Join(w.State, "repository", "evidence"),
		Notes:    filepath.Join(w.State, "repository", "releases")}, nil
}

// merge is the pull requests, merged, and the push of the tag. Then the branch
// moves on: workflow files change while a release is made, and a job may not
// touch a commit with other ones than the branch has.
func (w *World) merge(ctx context.Context, c *environment.Checkout, tag release.Tag, published [][]byte) error {
	if err := w.mergeEvidence(ctx, c.Evidence, tag, published, c.Time); err != nil {
		return err
	}
	if err := w.mergePolicies(c.Policies, published); err != nil {
		return err
	}
	if err := w.writeNotes(ctx, c, tag); err != nil {
		return err
	}
	if err := w.pushMain(ctx, c, tag); err != nil {
		return err
	}
	if err := w.pushTag(ctx, tag, c.Commit); err != nil {
		return err
	}
	_, err := w.github.Merge("ci: a workflow of later",
		map[string][]byte{".github/workflows/later.yaml": []byte("# what nobody thought of when the tag was made\n")})
	return err
}

// pushMain is the branch with those pull requests merged. It loses no pair that
// an earlier release declared.
func (w *World) pushMain(ctx context.Context, c *environment.Checkout, tag release.Tag) error {
	client, err := w.Env.GitHub()
	if err != nil {
		return err
	}
	files, err := w.policiesOfMain(ctx, client, c, tag.Family)
	if err != nil {
		return err
	}
	data, err := catalog.ReadBytes(c.Catalog)
	if err != nil {
		return err
	}
	path := w.Env.Config.CatalogPath
	before, err := client.ReadFile(ctx, path, propose.Base)
	if err == nil {
		data, err = merged(before, data)
	}
	if err != nil && !errors.Is(err, github.ErrNotFound) {
		return err
	}
	files[path] = data
	if err := w.pagesOfMain(ctx, client, c, tag, files); err != nil {
		return err
	}
	tests, err := evidenceOfMain(ctx, c.Evidence)
	if err != nil {
		return err
	}
	maps.Copy(files, tests)
	if err := w.github.Push("refs/heads/"+propose.Base, c.Commit, files); err != nil {
		return err
	}
	return w.github.Conclude(c.Commit, "success") // people tag a commit when its CI has passed
}

// pagesOfMain are the pages that the change of a catalog documents itself in, as
// they are on the branch, or as this work tree would bring them.
func (w *World) pagesOfMain(ctx context.Context, client *github.Client, c *environment.Checkout, tag release.Tag,
	files map[string][]byte) error {
	for name, path := range map[string]string{catalog.PagePath: filepath.Join(w.Env.Root, catalog.PagePath),
		catalog.PicturePath: filepath.Join(w.Env.Root, catalog.PicturePath),
		releases.Path(tag):  filepath.Join(c.Notes, releases.File(tag))} {
		data, err := client.ReadFile(ctx, name, propose.Base)
		if errors.Is(err, github.ErrNotFound) {
			data, err = os.ReadFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // a candidate needs no notes
			continue
		}
		if err != nil {
			return err
		}
		files[name] = data
	}
	return nil
}

// policiesOfMain are the working policies and the page about them. A release of
// node images promotes nothing: what is on the branch stays.
func (w *World) policiesOfMain(ctx context.Context, client *github.Client, c *environment.Checkout,
	family release.Family) (map[string][]byte, error) {
	paths := map[string]string{"docs/policies.md": filepath.Join(w.Env.Root, "docs/policies.md")}
	for _, p := range release.Profiles() {
		paths["policies/"+policies.File(p)] = filepath.Join(c.Policies, policies.File(p))
	}
	files := map[string][]byte{}
	for name, path := range paths {
		data, err := []byte(nil), github.ErrNotFound
		if family == release.Node {
			data, err = client.ReadFile(ctx, name, propose.Base)
		}
		if errors.Is(err, github.ErrNotFound) {
			data, err = os.ReadFile(path)
		}
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

// pushTag makes the tag on the local GitHub. A tag never moves.
func (w *World) pushTag(ctx context.Context, tag release.Tag, commit string) error {
	client, err := w.Env.GitHub()
	if err != nil {
		return err
	}
	at, err := client.TagCommit(ctx, tag.String())
	switch {
	case errors.Is(err, github.ErrNotFound):
		if err := w.github.Push("refs/tags/"+tag.String(), commit, nil); err != nil {
			return err
		}
		return w.startRun(tag, commit)
	case err != nil:
		return err
	case at != commit:
		next, err := nextFree(ctx, client, tag)
		if err != nil {
			return err
		}
		return &fault.Error{Code: fault.General, Message: tag.String() + " was rehearsed from another commit",
			Expected: at, Got: commit, Hint: "a tag never moves: release the next free one, -tag=" + next.String() +
				", or run `go tool mage rehearse:reset`"}
	}
	return nil
}

// nextFree is the smallest version above tag's that no tag has. A patch bump
// would be a hotfix, which main's newer work cannot be.
func nextFree(ctx context.Context, client *github.Client, tag release.Tag) (release.Tag, error) {
	tags, err := client.Tags(ctx)
	taken := map[string]bool{}
	for _, t := range tags {
		taken[t.Name] = true
	}
	for {
		tag.Version = tag.Version.NextMinor()
		if !taken[tag.String()] {
			return tag, err
		}
	}
}
