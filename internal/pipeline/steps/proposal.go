package steps

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// BaseBranch is where pull requests go.
const BaseBranch = propose.Base

const (
	proposalPrefix   = "catalog/" // of the branches
	proposalAttempts = 4          // of a change whose base moves meanwhile
)

func proposalBranch(tag release.Tag) string { return proposalPrefix + tag.String() }

// ProposeCatalog opens the pull request with what E2E found, or brings the open
// one up to date. "The pipeline opens a PR updating compatibility-catalog.json
// … A maintainer reviews the compatibility entries, verifies E2E results, and
// merges." A stable release whose E2E did not pass is refused; a candidate's
// change carries evidence alone.
//
// The change is made from what the base branch holds at one commit, and its
// branch starts there: what others merge meanwhile git brings together, or
// GitHub shows as a conflict. When the base moved while it was made, it is made
// again.
func (r *Release) ProposeCatalog(ctx context.Context, w *pipeline.Work) error {
	outcome, err := r.outcome()
	if err != nil {
		return err
	}
	if err := r.mustPass(outcome); err != nil {
		return err
	}
	if !outcome.Passed {
		w.Warnf("E2E of %s did not pass, so no catalog entry is proposed", r.Tag)
	}
	last := ""
	for range proposalAttempts {
		at, err := r.GitHub.Head(ctx, BaseBranch)
		if err != nil || at == last {
			return err
		}
		if err := r.proposeAt(ctx, w, at, outcome); err != nil {
			return fault.At("catalog update", err)
		}
		last = at
	}
	return &fault.Error{Code: fault.General, Message: BaseBranch + " moves while the catalog's change is made",
		Expected: "no merge for some seconds", Got: fmt.Sprintf("%d other heads", proposalAttempts),
		Hint: "run the same command again: it brings the pull request up to date"}
}

// ProposalState reads back whether the proposal says what it would say now. One
// that is behind, because others merged, is made anew when the step is run again.
func (r *Release) ProposalState(ctx context.Context) (pipeline.Digests, error) {
	outcome, err := r.outcome()
	if err != nil {
		return nil, err
	}
	at, err := r.GitHub.Head(ctx, BaseBranch)
	if err != nil {
		return nil, err
	}
	change, err := r.proposedChange(ctx, &pipeline.Work{Console: console.New(io.Discard, false)}, at, outcome)
	if err != nil {
		return nil, err
	}
	current, err := r.current(ctx, at, change)
	if err != nil || current {
		return pipeline.Digests{"proposal": "up to date"}, err
	}
	// No record of it may count as this state: nothing goes on from it, and the step is run again.
	return pipeline.Digests{"proposal": fmt.Sprintf("behind, at %d", time.Now().UnixNano())}, nil
}

// current says whether the base at the commit has the change, or its branch, or people work on the branch.
func (r *Release) current(ctx context.Context, at string, change github.Change) (bool, error) {
	if held, err := r.holds(ctx, at, change.Files); err != nil || held {
		return held, err
	}
	tip, err := r.GitHub.Head(ctx, change.Branch)
	if errors.Is(err, github.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if held, err := r.holds(ctx, tip, change.Files); err != nil || held {
		return held, err
	}
	message, err := r.GitHub.CommitMessage(ctx, tip)
	return message != change.Message, err
}

// mustPass: "must pass all CI checks including E2E". A record of a stable
// release that did not pass ends with an error and not with a warning.
func (r *Release) mustPass(outcome e2eRecord) error {
	if outcome.Passed || !r.Tag.Stable() {
		return nil
	}
	return &fault.Error{Code: fault.Verification, Message: "E2E of " + r.Tag.String() + " did not pass",
		Expected: "a record of E2E in which every check passed",
		Got:      cmp.Or(failures(outcome.Checks), "no check that passed"),
		Hint:     r.Tag.String() + " stays a pre-release: mend what failed and release the next version"}
}

// failures are the checks of a record that did not pass.
func failures(checks []string) string {
	var out []string
	for _, c := range checks {
		if !strings.HasPrefix(c, "pass: ") {
			out = append(out, c)
		}
	}
	return strings.Join(out, "; ")
}

// proposeAt makes the change from the base's commit, and proposes it.
func (r *Release) proposeAt(ctx context.Context, w *pipeline.Work, at string, outcome e2eRecord) error {
	change, err := r.proposedChange(ctx, w, at, outcome)
	if err != nil {
		return err
	}
	held, err := r.holds(ctx, at, change.Files)
	if err != nil {
		return err
	}
	if held {
		w.Infof("%s holds all that E2E of %s found: nothing to propose", BaseBranch, r.Tag)
		return nil
	}
	if err := r.notDeclined(ctx, change.Branch); err != nil {
		return err
	}
	return w.Do(journal.Proposal, change.Branch, func() error {
		pr, err := r.GitHub.Propose(ctx, change)
		if errors.Is(err, github.ErrEdited) {
			w.Warnf("people work on branch %s: it is left as it is", change.Branch)
			return nil // whether it says what it must is looked at before the promotion
		}
		if err == nil && pr.Number != 0 {
			w.Infof("proposed in pull request #%d: %s", pr.Number, pr.HTMLURL)
		}
		return err
	})
}

// holds says whether the base has these files already.
func (r *Release) holds(ctx context.Context, at string, files map[string][]byte) (bool, error) {
	for path, content := range files {
		there, err := r.onBase(ctx, path, at)
		if err != nil || !bytes.Equal(there, content) {
			return false, err
		}
	}
	return true, nil
}

// onBase is a file as the base's commit has it; nil when it has none.
func (r *Release) onBase(ctx context.Context, path, at string) ([]byte, error) {
	data, err := r.GitHub.ReadFile(ctx, path, at)
	if errors.Is(err, github.ErrNotFound) {
		return nil, nil
	}
	return data, err
}

// notDeclined: who closed the pull request without merging it said no, and is
// not asked again by running the job again.
func (r *Release) notDeclined(ctx context.Context, branch string) error {
	all, err := r.GitHub.Proposals(ctx, BaseBranch, branch)
	if err != nil {
		return err
	}
	for _, p := range all { // the newest decides
		if p.Branch != branch {
			continue
		}
		if p.Open || p.Merged {
			return nil
		}
		return &fault.Error{Code: fault.Verification, Message: "the catalog update was declined",
			Expected: "an open or a merged pull request of " + branch,
			Got:      fmt.Sprintf("#%d, closed without being merged: %s", p.Number, p.HTMLURL),
			Hint:     "open it again if that was not meant; else " + r.Tag.String() + " stays what it is"}
	}
	return nil
}

// proposedChange is the change as it is to be when the base is at the commit.
func (r *Release) proposedChange(ctx context.Context, w *pipeline.Work, at string,
	outcome e2eRecord) (github.Change, error) {
	files, err := r.proposedFiles(ctx, w, at, outcome)
	if err != nil || len(files) == 0 {
		return github.Change{Branch: proposalBranch(r.Tag)}, err
	}
	title := fmt.Sprintf("Compatibility of %s with %s", r.Tag, outcome.Counterpart)
	if !r.Tag.Stable() {
		title = fmt.Sprintf("Evidence of %s with %s", r.Tag, outcome.Counterpart)
	}
	return github.Change{Base: BaseBranch, At: at, Branch: proposalBranch(r.Tag), Files: files,
		Message: title, Title: title, Body: r.proposalBody(outcome, files)}, nil
}

// proposedFiles are the files of the change, by their path in the repository:
// what each part of it adds. A candidate adds nothing to the catalog.
func (r *Release) proposedFiles(ctx context.Context, w *pipeline.Work, at string,
	outcome e2eRecord) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, part := range []func(context.Context, *pipeline.Work, string, e2eRecord) (map[string][]byte, error){
		r.catalogFiles, r.evidenceFiles,
	} {
		add, err := part(ctx, w, at, outcome)
		if err != nil {
			return nil, err
		}
		maps.Copy(files, add)
	}
	return files, nil
}
