package steps

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// catalogFiles are the base's newest catalog with the tested entries, and its
// documentation: the page, the picture, and the release's notes, in which guard 1
// looks for each new pair.
func (r *Release) catalogFiles(ctx context.Context, w *pipeline.Work, at string,
	outcome e2eRecord) (map[string][]byte, error) {
	if !r.Tag.Stable() {
		return nil, nil
	}
	newest, err := r.catalogAt(ctx, at)
	if err != nil {
		return nil, err
	}
	updated, err := r.updated(ctx, w, newest, outcome)
	if err != nil {
		return nil, err
	}
	added := updated.Additions(newest)
	if len(added) == 0 {
		w.Infof("the catalog of %s needs no entry of %s", BaseBranch, r.Tag)
		return nil, nil
	}
	data, err := updated.Encode()
	if err != nil {
		return nil, err
	}
	page, err := r.onBase(ctx, catalog.PagePath, at)
	if err != nil {
		return nil, err
	}
	files := updated.Docs(page)
	files[r.Env.Config.CatalogPath] = data
	files[releases.Path(r.Tag)], err = r.listing(ctx, at, added)
	return files, err
}

// catalogAt is the catalog of a branch or a commit on GitHub.
func (r *Release) catalogAt(ctx context.Context, ref string) (*catalog.Catalog, error) {
	return CatalogAt(ctx, r.GitHub, r.Env.Config.CatalogPath, ref)
}

// CatalogAt is the catalog that lies at a path of a branch or a commit on GitHub; code MissingAsset when there is none.
func CatalogAt(ctx context.Context, c *github.Client, path, ref string) (*catalog.Catalog, error) {
	data, err := c.ReadFile(ctx, path, ref)
	if errors.Is(err, github.ErrNotFound) {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "there is no compatibility catalog on GitHub", Err: err,
			Expected: path + " at " + ref, Got: "no such file", Hint: "COMPATIBILITY_CATALOG_PATH names the file"}
	}
	if err != nil {
		return nil, err
	}
	return catalog.Decode(data)
}

// updated is the newest catalog with what E2E tested. A pair that people took
// out meanwhile is not put back; without its own pair a release does not go on.
func (r *Release) updated(ctx context.Context, w *pipeline.Work, newest *catalog.Catalog,
	outcome e2eRecord) (*catalog.Catalog, error) {
	tagged, err := catalog.Read(r.Checkout.Catalog)
	if err != nil {
		return nil, err
	}
	past, err := r.pastCatalog(ctx, tagged)
	if err != nil {
		return nil, err
	}
	updated, removed, err := catalog.Update(newest, tagged, past, trials(outcome.Matrix))
	if err != nil {
		return nil, err
	}
	counterpart, err := release.ParseTag(outcome.Counterpart)
	if err != nil {
		return nil, err
	}
	own := catalog.PairOf(r.Tag, counterpart)
	for _, pair := range removed {
		kms, node := pair.Tags()
		if pair == own {
			return nil, &fault.Error{Code: fault.Verification,
				Message:  fmt.Sprintf("%s with %s was taken out of the catalog", kms, node),
				Expected: "the pair in the catalog of " + BaseBranch + ", as at the release's commit", Got: "no such entry",
				Hint: "declare it again by a pull request, if it was taken out by mistake; else " + r.Tag.String() +
					" stays a pre-release"}
		}
		w.Warnf("%s with %s was tested, but people took the pair out of the catalog: it is not put back", kms, node)
	}
	return updated, nil
}

// pastCatalog is what the base once held: what the release's commit holds, which
// lies on it; or, for a hotfix, what the release held that it patches.
func (r *Release) pastCatalog(ctx context.Context, tagged *catalog.Catalog) (*catalog.Catalog, error) {
	plan, err := r.planned()
	if err != nil {
		return nil, err
	}
	if plan.Class != release.Hotfix {
		return tagged, nil
	}
	commit, err := r.GitHub.TagCommit(ctx, plan.Patched.String())
	if err != nil {
		return nil, err
	}
	past, err := r.catalogAt(ctx, commit)
	if errors.Is(err, github.ErrNotFound) { // it was elsewhere then
		return &catalog.Catalog{}, nil
	}
	return past, err
}

// listing is the release's notes, as the base has them, with the new pairs. Of a
// hotfix whose branch is not merged yet the base has none: then those of the tag.
func (r *Release) listing(ctx context.Context, at string, added []catalog.Addition) ([]byte, error) {
	file, err := r.onBase(ctx, releases.Path(r.Tag), at)
	if err != nil {
		return nil, err
	}
	if file == nil {
		if file, err = r.written(); err != nil {
			return nil, err
		}
	}
	var lines []string
	for _, a := range added {
		if !a.MentionedIn(string(file)) {
			lines = append(lines, a.Mention())
		}
	}
	out, err := notes.Listing(r.Tag, file, lines)
	return out, fault.At(releases.Path(r.Tag), err)
}

// proposalBody says what to review, what vouches for it, and how the checks start.
func (r *Release) proposalBody(outcome e2eRecord, files map[string][]byte) string {
	var b strings.Builder
	if r.Env.Banner != "" {
		fmt.Fprintf(&b, "> %s\n\n", r.Env.Banner)
	}
	verdict := "passed"
	if !outcome.Passed {
		verdict = "did **not** pass"
	}
	fmt.Fprintf(&b, "E2E of %s against %s %s. Review the entries, verify the E2E results, then merge.\n\n", r.Tag,
		outcome.Counterpart, verdict)
	if list := trials(outcome.Matrix); len(list) > 0 {
		b.WriteString("| key service | node image | profiles that passed |\n|---|---|---|\n")
		for _, t := range list {
			fmt.Fprintf(&b, "| %s | %s | %s |\n", t.KMS, t.NodeImage, release.ProfileList(t.Profiles))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "## Evidence\n\n- release: %s/releases/tag/%s\n- run: %s\n", r.SourceURL(), r.Tag,
		cmp.Or(r.Env.Config.RunPage(), "none: it was made outside a workflow"))
	for _, path := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&b, "- in this change: [`%s`](%s/blob/%s/%s)\n", path, r.SourceURL(), proposalBranch(r.Tag), path)
	}
	b.WriteString("\n## Checks\n\nA pull request that a workflow opens starts no checks: close it and open it again, " +
		"then they run. Closed and left so, it declines the entries. When another change was merged meanwhile and " +
		"GitHub shows a conflict, run the job `promote` of that run again: it brings this change up to date.\n")
	return b.String()
}
