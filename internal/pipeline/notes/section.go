package notes

import "github.com/calimero-network/mero-tee/internal/release"

// Section is a part of the notes that people write; its value is its heading.
type Section string

// The sections that docs/releases/{tag}.md may have.
const (
	BreakingChanges Section = "Breaking changes"
	UpgradePath     Section = "Upgrade path"
	PatchReason     Section = "Why a patch release"
	Reference       Section = "Reference"
	ExactChange     Section = "Exact change"
	Rollback        Section = "Rollback"
	GuardedPaths    Section = "Guarded paths"
)

// Required are the sections without which a release of the class does not start.
func Required(c release.Class) []Section {
	switch c {
	case release.Stable:
		return []Section{BreakingChanges, UpgradePath}
	case release.Hotfix:
		return []Section{PatchReason, Reference, ExactChange, Rollback}
	}
	return nil
}

// Optional are the other sections that the class may have.
func Optional(c release.Class) []Section {
	if c == release.Hotfix {
		return []Section{GuardedPaths, BreakingChanges, UpgradePath}
	}
	if c == release.Candidate {
		return []Section{BreakingChanges, UpgradePath}
	}
	return nil
}
