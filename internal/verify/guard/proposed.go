package guard

import (
	"context"
	"errors"
	"html"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/reason"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// ProposedSince reads from a repository what HEAD changes since it left base, as
// guard 1 looks at it.
func ProposedSince(ctx context.Context, dir, base, catalogPath string) (Proposed, error) {
	change, err := git.SinceBase(ctx, dir, base)
	if err != nil {
		return Proposed{}, err
	}
	p := Proposed{Files: change.Files, CatalogPath: catalogPath, Notes: map[string]string{}}
	at := func(commit, path string) ([]byte, error) {
		data, err := git.File(ctx, dir, commit, path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		return data, err
	}
	if p.Before, err = at(change.From, catalogPath); err != nil {
		return p, err
	}
	if p.After, err = at("HEAD", catalogPath); err != nil {
		return p, err
	}
	for _, f := range slices.Sorted(maps.Keys(p.Files)) {
		page := p.Files[f] != git.Deleted && explaining(f, catalogPath)
		if !page && (p.Files[f] != git.Modified || !usesActions(f)) {
			continue
		}
		before, err := at(change.From, f)
		if err != nil {
			return p, err
		}
		after, err := at("HEAD", f)
		if err != nil {
			return p, err
		}
		p.look(f, page, before, after)
	}
	return p, nil
}

// look reads one changed file, nil where there is no plain file.
func (p *Proposed) look(f string, page bool, before, after []byte) {
	if releaseNotes(f) && after != nil {
		p.Notes[f] = string(after)
	}
	switch {
	case page && (said(after) == "" || said(before) == said(after)):
		p.Unsaid = append(p.Unsaid, f)
	case !page && before != nil && after != nil && onlyPins(string(before), string(after)):
		p.Pinned = append(p.Pinned, f)
	}
}

// hidden is what Markdown does not show: a comment, also one that is not closed, and the definition of a link, but not
// of a footnote.
var hidden = regexp.MustCompile(`(?s)<!--.*?(?:-->|\z)|` +
	`(?m:^[ \t>*+-]*\[[^\]\n^][^\]\n]*\]:[ \t]*\S+(?:[ \t]+(?:"[^"\n]*"|'[^'\n]*'|\([^)\n]*\)))?[ \t\r]*$)`)

// said are the words of a page that its readers see.
func said(page []byte) string {
	seen := html.UnescapeString(hidden.ReplaceAllString(string(page), " "))
	return strings.Join(strings.Fields(reason.Visible(seen)), " ")
}

// usesActions says whether a file is a workflow or an action.
func usesActions(f string) bool {
	if ext := path.Ext(f); ext != ".yaml" && ext != ".yml" {
		return false
	}
	return path.Dir(f) == ".github/workflows" || strings.TrimSuffix(path.Base(f), path.Ext(f)) == "action"
}

// uses is a line that pins an action or a reusable workflow: its name, then its version.
var uses = regexp.MustCompile(`^(\s*(?:-\s+)?uses:\s*["']?[^@\s#"']+@)[^\s#"']+["']?\s*(?:#.*)?$`)

// onlyPins says whether nothing differs but the version in `uses:` lines, as
// when Dependabot raises one: the same lines use the same actions.
func onlyPins(before, after string) bool {
	a, b := strings.Split(before, "\n"), strings.Split(after, "\n")
	if len(a) != len(b) {
		return false
	}
	differ := false
	for i := range a {
		if a[i] == b[i] {
			continue
		}
		was, is := uses.FindStringSubmatch(a[i]), uses.FindStringSubmatch(b[i])
		if was == nil || is == nil || was[1] != is[1] {
			return false
		}
		differ = true
	}
	return differ
}
