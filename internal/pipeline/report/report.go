// Package report is a release as one looks at it: what was released, what was
// checked, what its machines measure and why, who signed it, and how long it
// took, as report.json and as one page, report.html.
//
// Its promise: the page is one file that asks nobody for anything; it shows what
// others wrote as text, whatever that is; what was not looked at is said as
// loudly as what was; and it judges nothing itself: each result on it is the
// guards', the auditor's or the end-to-end test's own.
package report

import (
	"fmt"
	"time"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/release"
)

// SchemaVersion is the only version of report.json.
const SchemaVersion = "1"

// Report is report.json, and all that the page shows.
type Report struct {
	SchemaVersion string        `json:"schema_version"`
	Tag           release.Tag   `json:"tag"`
	Class         release.Class `json:"class,omitempty"`  // once it was decided
	Commit        string        `json:"commit,omitempty"` // 40 hex digits, once it is known
	Repository    string        `json:"repository,omitempty"`
	Note          string        `json:"note,omitempty"` // what the environment says of everything made in it
	Outcome       Outcome       `json:"outcome"`
	Previous      *release.Tag  `json:"previous,omitempty"` // the family's release that it is compared with
	Facts         []Fact        `json:"facts"`
	Changes       []Change      `json:"changes"`    // since Previous, newest first
	Judgements    []Judgement   `json:"judgements"` // in the order in which they were made
	Profiles      []Profile     `json:"profiles"`
	Assets        []Asset       `json:"assets"`
	Timeline      Timeline      `json:"timeline"`
	Unlooked      []string      `json:"unlooked"` // what nobody looked at for this report, a sentence each

	Pairs *catalog.Catalog `json:"pairs,omitempty"` // with what the end-to-end test found
}

// State is how far a release came, or what a stranger may think of it.
type State string

// The states of a release by its own records, and by a stranger's verification.
const (
	Released    State = "released"    // promoted, or a candidate with all its steps
	UnderWay    State = "under way"   // what began has passed, and more is to come
	Stopped     State = "stopped"     // a step failed
	Interrupted State = "interrupted" // a step began and left no outcome

	Believed  State = "believed"  // every check passed
	Refused   State = "refused"   // a check failed
	Undecided State = "undecided" // something could not be looked at, and nothing is wrong
)

// Outcome is the verdict on top.
type Outcome struct {
	State State  `json:"state"`
	Words string `json:"words"` // one or two sentences
}

// Fact is a line that a person should know of a release.
type Fact struct {
	Topic string `json:"topic"`
	Text  string `json:"text"`
	Heed  bool   `json:"heed,omitempty"` // a person should look at it
}

// Change is a commit.
type Change struct {
	Commit  string `json:"commit"`
	Subject string `json:"subject"`
}

// Judgement is what was checked on one occasion.
type Judgement struct {
	Title   string        `json:"title"`
	Results check.Results `json:"results"`
}

// Signature is what a verified bundle says of its making.
type Signature struct {
	Identity string    `json:"identity"` // the certificate's subject alternative name
	Log      string    `json:"log"`      // ID of the transparency log, hex
	LogIndex int64     `json:"log_index"`
	Time     time.Time `json:"time"`
}

// Asset is a file of the release.
type Asset struct {
	Name      string     `json:"name"`
	Size      int64      `json:"size"`             // bytes
	Digest    string     `json:"digest,omitempty"` // "sha256:…"
	Signature *Signature `json:"signature,omitempty"`
}

// Encode renders report.json canonically.
func (r *Report) Encode() ([]byte, error) { return canonical.Marshal(r) }

// Count says how many results of all judgements have the status.
func (r *Report) Count(s check.Status) int {
	n := 0
	for _, j := range r.Judgements {
		n += j.Results.Count(s)
	}
	return n
}

// Essence is what a run's summary says of it, in Markdown: the verdict and the counts.
func (r *Report) Essence() string {
	return fmt.Sprintf("**%s**: %s %s passed, %d failed, %d were skipped, %d do not apply.\n\n", r.Outcome.State,
		r.Outcome.Words, console.Number(r.Count(check.Passed), "check"), r.Count(check.Failed), r.Count(check.Skipped),
		r.Count(check.Inapplicable))
}
