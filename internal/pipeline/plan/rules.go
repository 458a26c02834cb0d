package plan

import (
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Need says when the catalog must be updated.
type Need string

// The three answers of the spec.
const (
	Always          Need = "required"
	WhenMRTDChanges Need = "required, with the policy, when MRTD changes"
	Never           Need = "optional"
)

// Rules are what the spec demands of a class.
type Rules struct {
	E2EBlocks      bool            // a failed E2E stops the release; advisory otherwise
	SkippedChecks  bool            // a check may be skipped
	PolicyNotReady bool            // the policy may be policy_not_ready
	Catalog        Need            // "compatibility catalog update"
	Approval       bool            // of the environment release-auditor, before the promotion
	Promoted       bool            // ends as a release; as a pre-release otherwise
	MinimalDiff    bool            // the diff is reported, and guarded paths need their reason
	FullNotes      bool            // short notes otherwise
	Sections       []notes.Section // that people must write
}

// RulesOf are the rules of a class. An unknown class has those of a stable release.
func RulesOf(c release.Class) Rules {
	switch c {
	case release.Candidate:
		return Rules{SkippedChecks: true, PolicyNotReady: true, Catalog: Never}
	case release.Hotfix: // a stable release in all that the spec does not say otherwise
		return Rules{E2EBlocks: true, Catalog: WhenMRTDChanges, Approval: true, Promoted: true, MinimalDiff: true, FullNotes: true, Sections: notes.Required(c)}
	}
	return Rules{E2EBlocks: true, Catalog: Always, Approval: true, Promoted: true, FullNotes: true, Sections: notes.Required(release.Stable)}
}
