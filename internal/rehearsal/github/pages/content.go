package pages

// Releases is the list of the public releases, the newest first.
type Releases struct{ List []Release }

// Release is a public release.
type Release struct {
	Name, Tag  string
	Latest     bool
	Prerelease bool
	Published  string // RFC 3339
	Commit     string // 40 hex digits; empty when the tag is gone
	Notes      string // Markdown
	Assets     []Asset
	Checks     []Check // of the commit
}

// Asset is a file of a release.
type Asset struct {
	Name   string
	Size   int64  // bytes
	Digest string // "sha256:…"
}

// Tags is the list of tags.
type Tags struct{ List []Tag }

// Tag is a tag, and whether a public release is of it.
type Tag struct {
	Name, Commit string
	Released     bool
}

// Pulls is the list of pull requests, the newest first.
type Pulls struct{ List []Pull }

// Pull is a pull request with what it changes.
type Pull struct {
	Number     int64
	Title      string
	Body       string // Markdown
	Head, Base string // branches
	Commit     string // the head's; empty when the branch is gone
	State      string // "open", "merged" or "closed"
	Created    string // RFC 3339
	Labels     []string
	Files      []File
	Checks     []Check
}

// Commit is a commit with what it changed since its first parent.
type Commit struct {
	SHA, Message string
	Parents      []string
	Refs         []string // tags and branches that are at it
	Files        []File
	Checks       []Check
}

// Check is what an app's check or somebody's status says of a commit.
type Check struct {
	Name, By    string
	State       string // as GitHub has it: "success", "failure", "queued"…
	Description string
	Status      bool // somebody's word, and no check of an app
}

// The outcomes of checks, whatever GitHub calls them.
const (
	passed  = "passed"
	waiting = "waiting"
	failed  = "failed"
)

// Outcome is one of passed, waiting and failed; what is not known to be good is failed.
func (c Check) Outcome() string {
	switch c.State {
	case "success", "neutral", "skipped":
		return passed
	case "queued", "in_progress", "pending":
		return waiting
	}
	return failed
}

// Mark is the outcome for those who look.
func (c Check) Mark() string {
	return map[string]string{passed: "✓", waiting: "–", failed: "✗"}[c.Outcome()]
}

// Run is a workflow's run and what reviewers said of it.
type Run struct {
	ID            int64
	Workflow, Tag string
	Commit, Actor string
	Attempt       int
	Started       string // RFC 3339
	Reviews       []Review
}

// Review is what a reviewer said of a run.
type Review struct{ Environment, By, State, Comment string }

// Source is a file at a commit.
type Source struct {
	Path, Commit string
	Text         string
	Size         int  // bytes
	Binary       bool // or too large: it is not shown
}

// SourceOf shows what is text, as far as a browser likes it.
func SourceOf(path, commit string, content []byte) Source {
	const most = 1 << 20 // bytes that are shown
	out := Source{Path: path, Commit: commit, Size: len(content), Binary: isBinary(content) || len(content) > most}
	if !out.Binary {
		out.Text = string(content)
	}
	return out
}

// Missing is the page of an address that has none.
type Missing struct{ Path string }
