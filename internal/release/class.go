package release

// Class is one of the spec's three release classes: "each class has distinct
// operational rules, tagging conventions, and minimum release-note content".
type Class string

// The three classes. A hotfix is told from a stable release by the history, not
// by the tag alone.
const (
	Stable    Class = "stable"
	Candidate Class = "candidate"
	Hotfix    Class = "hotfix"
)

// Classes lists all three in the spec's order.
func Classes() []Class { return []Class{Stable, Candidate, Hotfix} }
