package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Draft is a release that somebody wants to make.
type Draft struct {
	Class  release.Class // empty: stable
	Family string        // "kms" or "node"; empty: the key service
	With   string        // the counterpart's version; empty: its newest stable release, else its newest candidate
}

// New prepares a release in the work tree: the next free tag, its notes from the
// template with the pair in them, and the pair in the catalog and its pages. It
// writes to w what is left to do, and does nothing outside the work tree.
func New(ctx context.Context, w io.Writer, d Draft) error {
	space, err := configure()
	if err != nil {
		return err
	}
	families, err := parseFamilies(cmp.Or(d.Family, release.KMS.Short()))
	if err != nil {
		return err
	}
	tags, stable, err := space.known(ctx)
	if err != nil {
		return err
	}
	tag, err := plan.Next(families[0], cmp.Or(d.Class, release.Stable), tags, stable)
	if err != nil {
		return err
	}
	class, err := space.classOf(ctx, tag, tags, stable)
	if err != nil {
		return err
	}
	other, err := counterpartOf(tag.Family, d.With, tags, stable)
	if err != nil {
		return err
	}
	written, err := space.prepare(tag, class, other)
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, left(tag, class, other, written))
	return err
}

// classOf is what the work tree's commit would be released as. A hotfix is
// prepared on its branch alone: files written elsewhere would not go along.
func (w *workspace) classOf(ctx context.Context, tag release.Tag, tags map[string]string,
	stable []release.Tag) (release.Class, error) {
	head, err := git.Head(ctx, w.root)
	if err != nil {
		return "", err
	}
	decided, err := plan.Decide(ctx, plan.Subject{Tag: tag, Commit: head.Hash, Tags: tags, Stable: stable},
		plan.Repository(w.root))
	return decided.Class, err
}

// counterpartOf is the release of the other family that one of f goes with: of
// the version with, else the newest stable one, else the newest candidate; one
// that does not exist yet is its first candidate.
func counterpartOf(f release.Family, with string, tags map[string]string, stable []release.Tag) (release.Tag, error) {
	other := release.Tag{Family: f.Counterpart()}
	if with != "" {
		v, err := release.ParseVersion(with)
		other.Version = v
		return other, err
	}
	published := make([]string, len(stable))
	for i, t := range stable {
		published[i] = t.String()
	}
	all := func(release.Version) bool { return true }
	for _, names := range []iter.Seq[string]{slices.Values(published), maps.Keys(tags)} {
		if newest := release.Highest(other.Family, names, all); !newest.IsZero() {
			return newest, nil
		}
	}
	return plan.Next(other.Family, release.Candidate, tags, stable)
}

// prepare writes the notes, the catalog and its pages; it returns the paths of
// what it wrote. What is written there already stays.
func (w *workspace) prepare(tag release.Tag, class release.Class, other release.Tag) ([]string, error) {
	c, err := catalog.Read(w.catalogPath())
	if err != nil {
		return nil, err
	}
	pair := catalog.PairOf(tag, other)
	pair.KMS, pair.NodeImage = pair.KMS.Final(), pair.NodeImage.Final()
	declared, err := catalog.Declare(c, pair, "")
	if err != nil {
		return nil, err
	}
	text, err := w.drafted(tag, class, catalog.Addition{Pair: pair})
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{releases.Path(tag): text}
	if len(declared.Entries) != len(c.Entries) {
		if files[w.cfg.CatalogPath], err = declared.Encode(); err != nil {
			return nil, err
		}
	}
	docs, err := w.catalogDocs(declared)
	if err != nil {
		return nil, err
	}
	maps.Copy(files, docs)
	return w.write(files)
}

// drafted are the notes of a tag: as they are, or from the template of its class, with the pair in them.
func (w *workspace) drafted(tag release.Tag, class release.Class, a catalog.Addition) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(w.root, releases.Path(tag)))
	if errors.Is(err, fs.ErrNotExist) {
		var template string
		template, err = releases.Template(class, tag)
		text = []byte(template)
	}
	if err != nil || a.MentionedIn(string(text)) {
		return text, err
	}
	return notes.Listing(tag, text, []string{a.Mention()})
}

// write writes what is not so already, and returns the paths.
func (w *workspace) write(files map[string][]byte) ([]string, error) {
	var out []string
	for name, data := range files {
		path := filepath.Join(w.root, name)
		if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
			continue
		}
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), file.Write(path, data, 0o644)); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	slices.Sort(out)
	return out, nil
}

// left is what people do next, in order.
func left(tag release.Tag, class release.Class, other release.Tag, written []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s, a %s release, with %s\n\n", tag, class, other)
	for _, name := range written {
		fmt.Fprintf(&b, "written  %s\n", name)
	}
	step := 0
	say := func(format string, args ...any) {
		step++
		fmt.Fprintf(&b, "\n%d. "+format+"\n", append([]any{step}, args...)...)
	}
	say("write over every TODO in %s, and see what is missing:\n\n   go tool mage release:plan -tag=%s",
		releases.Path(tag), tag)
	say("commit it and have it reviewed:\n\n   git add docs catalog && git commit -m 'Prepare %s'", tag)
	say("set the variables of the repository:\n\n   gh variable set %s --body %s\n   gh variable set %s --body %s",
		tag.Family.VersionVariable(), tag.Version, other.Family.VersionVariable(), other.Version)
	commit := "the merged commit"
	if class == release.Hotfix {
		commit = "the branch's commit, and merge the branch into main afterwards"
	}
	say("release "+commit+":\n\n   git tag %s && git push origin %s", tag, tag)
	return b.String()
}
