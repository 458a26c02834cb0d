package plan

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/pipeline/posture"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Plan is what is known of a release before anything runs.
type Plan struct {
	Subject
	Decision
	Rules   Rules
	Written notes.Written
	Waivers []string // of TCB statuses, one a line: where, what, until when, why; from the caller
	// Untested are node releases that the policies of this key service admit
	// without E2E, one a line with the reason; from the caller.
	Untested []string
	Facts    []posture.Fact // what the release stands on; from the caller
	Checks   check.Results  // what was looked at so far; a caller may add to it

	Previous *release.Tag // the family's release before this one, for its notes; from the caller
}

// Prepare decides the class and looks at what people have to write for it.
// file is docs/releases/{tag}.md, nil when there is none. An error means that
// the release cannot be of any class, or that the history could not be read.
func Prepare(ctx context.Context, s Subject, file []byte, h History) (*Plan, error) {
	decision, err := Decide(ctx, s, h)
	if err != nil {
		return nil, err
	}
	p := &Plan{Subject: s, Decision: decision, Rules: RulesOf(decision.Class)}
	p.Written, p.Checks = notes.Read(s.Tag, decision.Class, file)
	if p.Rules.MinimalDiff {
		p.Checks = append(p.Checks, reasoned(s.Tag, decision.Diff, p.Written.Reasons()))
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

// Latest says whether the release becomes the family's latest when it is promoted.
func (p *Plan) Latest() bool { return p.Rules.Promoted && p.Highest }

// CatalogUpdate says when the compatibility catalog must be updated.
type CatalogUpdate string

// The three answers of the spec.
const (
	CatalogRequired    CatalogUpdate = "required"
	CatalogFollowsMRTD CatalogUpdate = "required; with the policy when a register moved"
	CatalogOptional    CatalogUpdate = "optional"
)

// Rules are what the spec demands of a class.
type Rules struct {
	E2EBlocks      bool            // a failed E2E stops the release; advisory otherwise
	SkippedChecks  bool            // a check may be skipped
	PolicyNotReady bool            // the policy may be policy_not_ready
	Catalog        CatalogUpdate   // "compatibility catalog update"
	Approval       bool            // of the environment release-auditor, before the promotion
	Promoted       bool            // ends as a release; as a pre-release otherwise
	MinimalDiff    bool            // the diff is reported, and every changed path needs its reason
	FullNotes      bool            // short notes otherwise
	Sections       []notes.Section // that people must write
}

// RulesOf are the rules of a class. An unknown class has those of a stable release.
func RulesOf(c release.Class) Rules {
	switch c {
	case release.Candidate:
		return Rules{SkippedChecks: true, PolicyNotReady: true, Catalog: CatalogOptional}
	case release.Hotfix: // a stable release in all that the spec does not say otherwise
		return Rules{E2EBlocks: true, Catalog: CatalogFollowsMRTD, Approval: true, Promoted: true, MinimalDiff: true,
			FullNotes: true, Sections: notes.Required(c)}
	}
	return Rules{E2EBlocks: true, Catalog: CatalogRequired, Approval: true, Promoted: true,
		FullNotes: true, Sections: notes.Required(release.Stable)}
}
