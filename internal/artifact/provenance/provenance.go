// Package provenance makes and judges provenance.intoto.jsonl: an in-toto
// statement with SLSA's provenance, version 1, that says what a release was made
// of, by which workflow, and which files and images came out.
//
// Its promise: the same release gives the same bytes; a statement that Decode
// accepts is one line in our form; and Judge accepts no statement that leaves out
// one of a release's files or images, names another, or is of another commit,
// workflow or kind. docs/provenance.md describes the build type.
package provenance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The types of the statement (in-toto), of what it says (SLSA), and of our builds.
const (
	StatementType = "https://in-toto.io/Statement/v1"
	PredicateType = "https://slsa.dev/provenance/v1"
	BuildType     = "https://github.com/calimero-network/mero-tee/blob/main/docs/provenance.md#version-1"
)

// Statement is the file.
type Statement struct {
	Type          string     `json:"_type"`
	Subject       []Resource `json:"subject"` // by name
	PredicateType string     `json:"predicateType"`
	Predicate     Predicate  `json:"predicate"`
}

// Resource is in-toto's descriptor of something: at least a name or a URI.
type Resource struct {
	Name   string            `json:"name,omitempty"`
	URI    string            `json:"uri,omitempty"`
	Digest map[string]string `json:"digest,omitempty"` // algorithm to lower-case hex
	// where it was fetched from, which may be an archive that holds it
	DownloadLocation string `json:"downloadLocation,omitempty"`
}

// Predicate is SLSA's provenance.
type Predicate struct {
	BuildDefinition struct {
		BuildType            string     `json:"buildType"`
		ExternalParameters   Parameters `json:"externalParameters"`
		ResolvedDependencies []Resource `json:"resolvedDependencies"` // the commit first
	} `json:"buildDefinition"`
	RunDetails struct {
		Builder struct {
			ID string `json:"id"` // the workflow that signed
		} `json:"builder"`
		Metadata struct {
			// the run's page; empty when the release was made outside of a workflow
			InvocationID string `json:"invocationId,omitempty"`
		} `json:"metadata"`
	} `json:"runDetails"`
}

// Parameters are what somebody who starts a build decides: which tag, no more.
type Parameters struct {
	Repository string `json:"repository"` // its page
	Ref        string `json:"ref"`        // refs/tags/…
	Workflow   string `json:"workflow"`   // path in the repository
}

// Build is a release of which the statement speaks.
type Build struct {
	Repository string // owner/name
	Tag        release.Tag
	Commit     string // 40 hex digits
	Invocation string // the run's page, if there is one

	Subjects     map[string]digest.Digest // files and images, by name
	Dependencies []Resource               // what went in besides the commit
}

// New is the statement about a build.
func New(b Build) *Statement {
	s := &Statement{Type: StatementType, PredicateType: PredicateType}
	for _, name := range slices.Sorted(maps.Keys(b.Subjects)) {
		s.Subject = append(s.Subject, Resource{Name: name, Digest: SHA256(b.Subjects[name])})
	}
	definition, details := &s.Predicate.BuildDefinition, &s.Predicate.RunDetails
	definition.BuildType, definition.ExternalParameters = BuildType, b.parameters()
	definition.ResolvedDependencies = append([]Resource{b.source()}, b.once()...)
	details.Builder.ID, details.Metadata.InvocationID = b.builder(), b.Invocation
	return s
}

// once are the dependencies in one order; images of several profiles share some.
func (b Build) once() []Resource {
	sorted := slices.SortedFunc(slices.Values(b.Dependencies),
		func(a, b Resource) int { return cmp.Compare(a.line(), b.line()) })
	return slices.CompactFunc(sorted, Resource.equal)
}

func (b Build) page() string { return "https://github.com/" + b.Repository }

func (b Build) ref() string { return "refs/tags/" + b.Tag.String() }

func (b Build) workflow() string { return ".github/workflows/" + b.Tag.Family.Workflow() }

func (b Build) builder() string { return b.page() + "/" + b.workflow() + "@" + b.ref() }

func (b Build) parameters() Parameters { return Parameters{b.page(), b.ref(), b.workflow()} }

func (b Build) source() Resource {
	return Resource{URI: "git+" + b.page() + "@" + b.ref(), Digest: map[string]string{"gitCommit": b.Commit}}
}

// SHA256 is a resource's digest.
func SHA256(d digest.Digest) map[string]string { return map[string]string{"sha256": d.Hex()} }

// File is a dependency that lies in the commit: what it was when the build read it.
func File(path string, d digest.Digest) Resource { return Resource{Name: path, Digest: SHA256(d)} }

// Assets are the files of a release that the statement vouches for: all but itself
// and what is made after it, the checksums and the bundles.
func Assets(f release.Family) []string {
	return slices.DeleteFunc(f.Assets(), func(name string) bool { return name == release.ProvenanceAsset })
}

// Files are those of the commit that decide, beside the sources, what a release of
// the family is made of: the statement has the digest of each.
func Files(f release.Family) []string {
	files := []string{"go.mod", "go.sum", "tools/syft/go.mod", "tools/syft/go.sum"}
	if f == release.Node {
		return append(files, "ansible/node.yml", "packer/base.pkrvars.hcl", "packer/companions.json", "packer/node.pkr.hcl",
			"tools/packer/go.mod", "tools/packer/go.sum")
	}
	return append(files, "docker/mero-kms/Dockerfile", "docker/mero-kms/docker-compose.yaml")
}

// Encode renders the statement as one line.
func (s *Statement) Encode() ([]byte, error) {
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	err := e.Encode(s)
	return out.Bytes(), err
}

// Decode reads a statement that Encode wrote. A statement of another type, and a
// predicate of another, is refused by its name. Errors carry code Verification.
func Decode(data []byte) (*Statement, error) {
	s := &Statement{}
	var head struct {
		Type          string `json:"_type"`
		PredicateType string `json:"predicateType"`
	}
	if json.Unmarshal(data, &head) == nil && len(data) <= canonical.MaxSize {
		if head.Type != StatementType {
			return nil, fault.Mismatch("provenance: not a statement that is known here", StatementType, quoted(head.Type))
		}
		if head.PredicateType != PredicateType {
			return nil, fault.Mismatch("provenance: a predicate that is not known here", PredicateType,
				quoted(head.PredicateType))
		}
	}
	if err := canonical.Unmarshal(data, s); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "provenance: not a statement in our form", Err: err}
	}
	again, err := s.Encode()
	if err == nil && !bytes.Equal(again, data) {
		err = fault.Mismatch("provenance: not written as our releases write it",
			"one line, the fields in their order, no more", "other JSON of the same content")
	}
	return s, err
}

func quoted(s string) string { return fmt.Sprintf("%.100q", s) }

// Judge compares the statement with the release as it is seen from outside. Of
// the build's dependencies each must be there; others may be. An invocation is
// the run's own word and is not compared. Errors carry code Verification.
func (s *Statement) Judge(b Build) error {
	want := New(b)
	p, q := s.Predicate.BuildDefinition, want.Predicate.BuildDefinition
	if len(p.ResolvedDependencies) == 0 {
		return fault.Mismatch("provenance: it names nothing that the release was made of", b.source().URI, "no dependencies")
	}
	source := p.ResolvedDependencies[0]
	for _, c := range []struct{ what, expected, got string }{
		{"build type", BuildType, p.BuildType},
		{"builder", want.Predicate.RunDetails.Builder.ID, s.Predicate.RunDetails.Builder.ID},
		{"repository", q.ExternalParameters.Repository, p.ExternalParameters.Repository},
		{"ref", q.ExternalParameters.Ref, p.ExternalParameters.Ref},
		{"workflow", q.ExternalParameters.Workflow, p.ExternalParameters.Workflow},
		{"source", b.source().URI, source.URI},
		{"commit", b.Commit, source.Digest["gitCommit"]},
	} {
		if c.expected != c.got {
			return fault.Mismatch("provenance: another "+c.what, c.expected, quoted(c.got))
		}
	}
	if !source.equal(b.source()) {
		return fault.Mismatch("provenance: it says more of the source than its commit", b.source().line(), source.line())
	}
	if err := sameSubjects(want.Subject, s.Subject); err != nil {
		return err
	}
	return s.MadeOf(b.Dependencies)
}

// MadeOf wants each of these among the build's dependencies, and none of them there in another form, too.
func (s *Statement) MadeOf(dependencies []Resource) error {
	said := s.Predicate.BuildDefinition.ResolvedDependencies
	for _, d := range dependencies {
		if !slices.ContainsFunc(said, d.equal) {
			return fault.Mismatch("provenance: a dependency of the build is not in it", d.line(), named(said, d))
		}
		if i := slices.IndexFunc(said, func(o Resource) bool { return o.called(d) && !o.equal(d) }); i >= 0 {
			return fault.Mismatch("provenance: a dependency of the build is in it twice, once otherwise", d.line(),
				said[i].line())
		}
	}
	return nil
}

// Of is the SHA-256 that the statement gives of a subject; zero where it gives none.
func (s *Statement) Of(name string) digest.Digest {
	for _, r := range s.Subject {
		if sum, err := digest.Parse("sha256:" + r.Digest["sha256"]); r.Name == name && err == nil {
			return sum
		}
	}
	return digest.Digest{}
}

// sameSubjects wants each file and image, with its digest, and nothing else.
func sameSubjects(want, got []Resource) error {
	for i, r := range got {
		if slices.ContainsFunc(got[:i], r.equal) {
			return fault.Mismatch("provenance: a subject is named twice", "each once", r.line())
		}
	}
	for _, r := range want {
		if !slices.ContainsFunc(got, r.equal) {
			return unvouched(r, got)
		}
	}
	for _, r := range got {
		if !slices.ContainsFunc(want, r.equal) {
			return fault.Mismatch("provenance: it vouches for what is not of this release", "no such subject", r.line())
		}
	}
	return nil
}

// unvouched: what is signed is expected, what is at hand was got.
func unvouched(r Resource, said []Resource) error {
	i := slices.IndexFunc(said, func(o Resource) bool { return o.Name == r.Name })
	if i < 0 {
		return fault.Mismatch("provenance: it does not vouch for "+r.Name, "a subject of this name", "none")
	}
	return fault.Mismatch("provenance: "+r.Name+" is not what it vouches for", said[i].beside(r), r.line())
}

// equal compares two resources whole.
func (r Resource) equal(o Resource) bool {
	return r.called(o) && r.DownloadLocation == o.DownloadLocation && maps.Equal(r.Digest, o.Digest)
}

// called says whether both are said of one thing.
func (r Resource) called(o Resource) bool { return r.Name == o.Name && r.URI == o.URI }

// line is the resource in one line, for people: two that differ may have one.
func (r Resource) line() string {
	out := []string{}
	for _, part := range []string{r.Name, r.URI, r.DownloadLocation} {
		if part != "" {
			out = append(out, part)
		}
	}
	for _, algorithm := range slices.Sorted(maps.Keys(r.Digest)) {
		out = append(out, algorithm+":"+r.Digest[algorithm])
	}
	return strings.Join(out, " ")
}

// beside is the resource's line beside that of another.
func (r Resource) beside(o Resource) string {
	if line := r.line(); line != o.line() {
		return line
	}
	return "the same words, in other fields"
}

// named is what the list says instead under the name and URI of want.
func named(list []Resource, want Resource) string {
	for _, r := range list {
		if r.called(want) {
			return r.line()
		}
	}
	return "nothing of this name"
}
