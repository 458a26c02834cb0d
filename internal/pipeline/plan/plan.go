package plan

import (
	"context"
	"path"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// Plan is what is known of a release before anything runs.
type Plan struct {
	Subject
	Decision
	Rules   Rules
	Written notes.Written
	Checks  check.Results // what was looked at so far; a caller may add to it
}

// Prepare decides the class and looks at what people have to write for it.
// file is docs/releases/{tag}.md, nil when there is none. An error means that
// the release cannot be of any class, or that the history could not be read.
func Prepare(ctx context.Context, s Subject, file []byte, h History) (*Plan, error) {
	decision, err := Of(ctx, s, h)
	if err != nil {
		return nil, err
	}
	p := &Plan{Subject: s, Decision: decision, Rules: RulesOf(decision.Class)}
	p.Written, p.Checks = notes.Read(s.Tag, decision.Class, file)
	if p.Rules.MinimalDiff {
		p.Checks = append(p.Checks, guarded(decision.Diff, p.Written.Reasons()))
	}
	return p, nil
}

// Err is the first thing that keeps the release from starting.
func (p *Plan) Err() error { return p.judged().Err() }

// judged are the checks as the class judges them.
func (p *Plan) judged() check.Results {
	if p.Rules.SkippedChecks {
		return p.Checks
	}
	return p.Checks.Strict()
}

const guardedName = "hotfix: guarded paths have their reason"

// GuardedRoots are the folders that a hotfix has no business in without a reason.
func GuardedRoots() []string { return []string{"ansible", "catalog", "packer", "policies"} }

// Guarded says whether a hotfix needs a reason to change the path.
func Guarded(file string) bool {
	root, _, nested := strings.Cut(file, "/")
	return nested && slices.Contains(GuardedRoots(), root)
}

func guarded(diff []git.Change, reasons map[string]string) check.Result {
	var touched, unexplained []string
	for _, c := range diff {
		if !Guarded(c.Path) {
			continue
		}
		touched = append(touched, c.Path)
		if !explained(c.Path, reasons) {
			unexplained = append(unexplained, c.Path)
		}
	}
	if len(touched) == 0 {
		return check.NotApplicable(guardedName, "nothing under "+strings.Join(GuardedRoots(), ", ")+" changed")
	}
	if len(unexplained) == 0 {
		return check.Pass(guardedName)
	}
	return check.Fail(guardedName, fault.Verification, "guarded paths changed without a reason",
		"an item for each, or for its folder, under ## "+string(notes.GuardedPaths), strings.Join(unexplained, ", ")).
		WithHint("- " + unexplained[0] + ": why a hotfix has to touch it")
}

// explained says whether the path, or a folder that it lies in, has a reason.
func explained(file string, reasons map[string]string) bool {
	for ; file != "."; file = path.Dir(file) {
		if _, ok := reasons[file]; ok {
			return true
		}
	}
	return false
}

// Latest says whether the release becomes the family's latest when it is promoted.
func (p *Plan) Latest() bool { return p.Rules.Promoted && p.Highest }
