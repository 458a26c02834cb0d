// Package propose changes the working policies the only way in which they are
// changed: by a pull request that people review.
//
// Its promise: a proposal says every register that moves and what vouches for
// it, it carries the page that documents it, and the same operation run twice,
// or by two pipelines at once, ends in one pull request.
package propose

import (
	"context"
	"errors"
	"fmt"
	"path"
	"reflect"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/diff"
)

const (
	// Base is the branch that proposals are to be merged into.
	Base = "main"

	policyDir = "policies/"
	pageDir   = "docs/policy-changes/"
	indexPage = "docs/policies.md"  // what guard 1 wants changed with a policy
	section   = "## Changes so far" // of the index page, its last
)

// The labels of the pull requests.
const (
	PromotionLabel  = "policy-promotion"
	RefreshLabel    = "policy-refresh"
	RevocationLabel = "policy-revocation"
)

// Set holds the working policies of all profiles.
type Set map[release.Profile]*policies.Working

// Proposal is one change of the working policies.
type Proposal struct {
	Name          string // "promote-mero-tee-v1.2.0", of its branch and its page
	Title         string
	Label         string
	Before, After Set
	Grounds       string // Markdown: what vouches for the change, or the reason for it
	Banner        string // what must be said in anything made in a rehearsal; else empty
}

// Load reads the working policies from a branch on GitHub. The work tree has
// no say: what is proposed is a change of what is governed there.
func Load(ctx context.Context, c *github.Client, branch string) (Set, error) {
	var unanswered error // to be told from a file that is not there
	set, err := policies.Load(func(name string) ([]byte, error) {
		data, err := c.ReadFile(ctx, policyDir+name, branch)
		if err != nil && !errors.Is(err, github.ErrNotFound) {
			unanswered = err
		}
		return data, err
	})
	switch {
	case unanswered != nil:
		return nil, unanswered
	case errors.Is(err, github.ErrNotFound):
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "no working policies on branch " + branch, Err: err,
			Expected: "policies/{profile}.json of every profile on GitHub", Got: "not all of them",
			Hint: "push the branch first; what is only in the work tree is not proposed"}
	}
	return set, err
}

// Empty says that nothing would change.
func (p *Proposal) Empty() bool { return reflect.DeepEqual(p.Before, p.After) }

// Branch carries the change.
func (p *Proposal) Branch() string { return branchOf(p.Name) }

func branchOf(name string) string { return "policy/" + name }

// Page is the file of the repository that says what changed and why.
func (p *Proposal) Page() string { return pageDir + p.Name + ".md" }

// Rows are the whole difference, profile by profile.
func (p *Proposal) Rows() []diff.Row {
	var out []diff.Row
	for _, profile := range release.Profiles() {
		out = append(out, diff.Rows(diff.Working(p.Before[profile]), diff.Working(p.After[profile]))...)
	}
	return out
}

// Body is the text of the pull request and, below a title, of the page.
func (p *Proposal) Body() string {
	rows, banner := p.Rows(), ""
	if p.Banner != "" {
		banner = "> " + p.Banner + "\n\n"
	}
	return banner + fmt.Sprintf("%s\n## What changes\n\n%s\n<details><summary>Whole values</summary>\n\n%s\n</details>\n",
		p.Grounds, diff.Markdown(rows, false), diff.Markdown(rows, true))
}

// Open proposes the change or adopts the pull request that is open for it.
// The zero PullRequest says that the base is as it should be.
func Open(ctx context.Context, c *github.Client, p *Proposal) (github.PullRequest, error) {
	if p.Empty() {
		return github.PullRequest{}, nil
	}
	files, err := p.files()
	if err != nil {
		return github.PullRequest{}, err
	}
	if err := p.index(ctx, c, files); err != nil {
		return github.PullRequest{}, err
	}
	return c.Propose(ctx, github.Change{Base: Base, Branch: p.Branch(), Files: files, Message: p.Title, Title: p.Title,
		Body:   p.Body() + "\nThe same text is in `" + p.Page() + "`, which later runs of the command keep up to date.\n",
		Labels: []string{p.Label}})
}

// index adds a line about the page to the page on policies. A base without
// that page has no index to keep.
func (p *Proposal) index(ctx context.Context, c *github.Client, files map[string][]byte) error {
	data, err := c.ReadFile(ctx, indexPage, Base)
	switch {
	case errors.Is(err, github.ErrNotFound):
		return nil
	case err != nil:
		return err
	}
	files[indexPage] = listed(data, fmt.Sprintf("- [%s](%s)\n", p.Title, path.Join(path.Base(pageDir), p.Name+".md")))
	return nil
}

// listed appends a line to the last section of a page, once.
func listed(page []byte, line string) []byte {
	text := strings.TrimRight(string(page), "\n") + "\n"
	if strings.Contains(text, line) {
		return page
	}
	if !strings.Contains(text, "\n"+section+"\n") {
		text += "\n" + section + "\n"
	}
	if strings.HasSuffix(text, section+"\n") {
		text += "\n"
	}
	return []byte(text + line)
}

// files are the policies that change, and the page that says why.
func (p *Proposal) files() (map[string][]byte, error) {
	if err := policies.CheckWorkingSet(p.After); err != nil {
		return nil, err
	}
	out := map[string][]byte{p.Page(): []byte("# " + p.Title + "\n\n" + p.Body())}
	for profile, w := range p.After {
		if reflect.DeepEqual(w, p.Before[profile]) {
			continue
		}
		data, err := w.Encode()
		if err != nil {
			return nil, err
		}
		out[policyDir+policies.File(profile)] = data
	}
	return out, nil
}

// each makes a set of the same profiles by changing each policy.
func (s Set) each(change func(release.Profile, *policies.Working) (*policies.Working, error)) (Set, error) {
	out := Set{}
	for _, profile := range release.Profiles() {
		w, err := change(profile, s[profile])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", policies.File(profile), err)
		}
		out[profile] = w
	}
	return out, nil
}
