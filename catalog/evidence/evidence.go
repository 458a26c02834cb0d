// Package evidence is the record of an end-to-end test of a key service with a
// node release: what was tried, every check, what was seen, and where it ran. A
// test that failed leaves its record too.
//
// Its promise: a record that it read has one form and says one thing, and what
// it vouches for are the registers that a node showed in a test of which no
// check failed: "only verified measurements from successful E2E runs". It is not
// signed: people review it, and it names the bytes that were tested.
package evidence

import (
	_ "embed"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// SchemaVersion is the only version of the files.
const SchemaVersion = "1"

// Dir is the folder of the files in the repository.
const Dir = "catalog/evidence"

// Schema is the JSON schema of an E2E (draft 2020-12).
//
//go:embed evidence.schema.json
var Schema []byte

// SchemaFile is its name in Dir.
const SchemaFile = "evidence.schema.json"

// E2E is {kms}--{node}.json: the last test of exactly these two releases.
type E2E struct {
	SchemaVersion string      `json:"schema_version"`
	Release       release.Tag `json:"release"` // of which it was the test: one of the two
	KMS           Side        `json:"kms"`
	Node          Side        `json:"node"`
	Run           string      `json:"run,omitempty"`  // address of the workflow's run; empty outside of one
	Note          string      `json:"note,omitempty"` // that it was a rehearsal
	At            string      `json:"at"`             // when it ended: RFC 3339, UTC, to the second
	Profiles      []Profile   `json:"profiles"`       // those that were tested, in the spec's order
	Checks        []Check     `json:"checks"`         // of no profile alone: isolation, older policies, other releases
}

// Side is one of the two releases as it was downloaded.
type Side struct {
	Release      release.Tag   `json:"release"`
	Commit       string        `json:"commit"`       // 40 hex digits
	Measurements digest.Digest `json:"measurements"` // of its published-mrtds.json
}

// Profile is what was tested of one profile, and how it fared.
type Profile struct {
	Profile release.Profile `json:"profile"`
	KMS     Service         `json:"kms"`
	Node    Machine         `json:"node"`
	Checks  []Check         `json:"checks"`
}

// Service is a key service that was deployed.
type Service struct {
	Machine
	ComposeHash digest.Digest `json:"compose_hash"` // of the file that the release publishes
	Policy      digest.Digest `json:"policy"`       // of the policy that the release publishes
	// Reconfigured are its other deployments: the same image with other policies.
	Reconfigured []Deployment `json:"reconfigured,omitempty"`
}

// Deployment is a key service that was made to load another policy than its release's.
type Deployment struct {
	Policy      string        `json:"policy"` // which, in words
	ComposeHash digest.Digest `json:"compose_hash"`
}

// Machine is what ran and what its verified quote showed; nothing when it gave none.
type Machine struct {
	Image  string         `json:"image"`
	Digest digest.Digest  `json:"digest"`
	Seen   *tdx.Registers `json:"seen,omitempty"`
}

// Check is one check of the test.
type Check struct {
	Name   string       `json:"name"`
	Result check.Status `json:"result"`
	Reason string       `json:"reason,omitempty"` // of whatever is no plain pass
}

// Name is the file of a test of two versions, candidates included.
func Name(kms, node release.Version) string { return fmt.Sprintf("%s--%s.json", kms, node) }

// Path is the file's place in the repository.
func (e *E2E) Path() string {
	return path.Join(Dir, Name(e.KMS.Release.Version, e.Node.Release.Version))
}

// ParseName is the reverse of Name; false for any other file.
func ParseName(name string) (kms, node release.Version, ok bool) {
	first, second, found := strings.Cut(strings.TrimSuffix(name, ".json"), "--")
	kms, badKMS := release.ParseVersion(first)
	node, badNode := release.ParseVersion(second)
	return kms, node, found && badKMS == nil && badNode == nil && Name(kms, node) == name
}

// Decode reads a file of that name strictly, byte for byte in the canonical
// form, and checks it; its errors have code Verification.
func Decode(name string, data []byte) (*E2E, error) {
	e := new(E2E)
	if err := canonical.UnmarshalExact(data, e); err != nil {
		return nil, refused(name, "is not evidence of E2E", err)
	}
	if err := e.Check(); err != nil {
		return nil, refused(name, "is no sound evidence of E2E", err)
	}
	if own := path.Base(e.Path()); own != name {
		return nil, refused(name, "is the evidence of another pair", fault.Mismatch("its name", own, name))
	}
	return e, nil
}

func refused(name, what string, err error) error {
	out := &fault.Error{Code: fault.Verification, Message: path.Join(Dir, name) + " " + what, Err: err,
		Hint: "the pipeline writes it; take it from the pull request of the release again"}
	return out
}

// Encode checks the record and renders its canonical bytes.
func (e *E2E) Encode() ([]byte, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	return canonical.Marshal(e)
}

// Stamp is a time as the files have it.
func Stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// Of is the record of a check's result, its texts cut to what a record may hold.
func Of(r check.Result) Check {
	reason := r.Reason
	if r.Status == check.Failed && r.Expected+r.Got != "" {
		reason = fmt.Sprintf("%s (expected %s, got %s)", reason, r.Expected, r.Got)
	}
	return Check{Name: line(r.Name, maxName), Result: r.Status, Reason: line(reason, maxReason)}
}

// line is a text on one line of at most that many characters.
func line(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(text, "?"), unprintable), " ")
	if runes := []rune(text); len(runes) > most {
		return string(runes[:most-1]) + "…"
	}
	return text
}
