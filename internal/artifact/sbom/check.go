package sbom

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// MaxSize bounds a document, in bytes. That of three node images, each with 700 Debian packages and 300 Go modules,
// has 7 MB (2026-11-28).
const MaxSize = 16 << 20

const (
	timeForm = "2006-01-02T15:04:05Z" // SPDX 2.3, clause 6.9: UTC, no fraction
	creator  = "syft-" + SyftVersion
)

// Check reads a document as a stranger does and reports everything that is
// wrong with it, as fault.Verification: its form, and for each binary (a path)
// that the document names its digest and lists every Go module it was linked
// from, the main module and the standard library included.
func Check(data []byte, binaries ...string) error {
	doc, err := read(data)
	if err != nil {
		return invalid("not an SPDX 2.3 JSON document", "", err)
	}
	if err := errors.Join(checkForm(doc), checkSpelling(data)); err != nil {
		return err // a document of the wrong form is not searched for modules
	}
	var problems []error
	for _, path := range binaries {
		problems = append(problems, checkBinary(doc, path))
	}
	return errors.Join(problems...)
}

func checkForm(doc *spdx.Document) error {
	problems := []error{checkHeader(doc), checkCreation(doc.CreationInfo), checkIdentifiers(doc), checkDescribed(doc),
		checkMandatory(doc), checkRelationships(doc), checkLicences(doc)}
	return errors.Join(problems...)
}

// read parses data strictly. The SPDX library dereferences null list elements (v0.5.7: {"packages":[null]}) or needs
// hours to drop them, so that none comes so far; a panic of its decoder is an error of the input.
func read(data []byte) (doc *spdx.Document, err error) {
	if err := errors.Join(canonical.CheckUpTo(data, MaxSize), withoutNull(data)); err != nil {
		return nil, err
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("malformed document: %v", p)
		}
	}()
	doc = &spdx.Document{}
	if err := json.Unmarshal(data, doc); err != nil {
		return nil, err
	}
	return doc, nil
}

// withoutNull refuses what no key of SPDX can be.
func withoutNull(data []byte) error {
	tokens := json.NewDecoder(bytes.NewReader(data))
	for {
		switch token, err := tokens.Token(); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		case token == nil:
			return fmt.Errorf("it holds null, at byte %d", tokens.InputOffset())
		}
	}
}

// maxProblems are as many as a person reads of one kind.
const maxProblems = 20

// few are the first of many problems, and how many more there are.
func few(problems []error) error {
	if more := len(problems) - maxProblems; more > 0 {
		problems = append(problems[:maxProblems:maxProblems], invalid(fmt.Sprintf("%d more like these", more), "", nil))
	}
	return errors.Join(problems...)
}

func invalid(message, got string, err error) error {
	return &fault.Error{Code: fault.Verification, Message: "SBOM: " + message, Got: got, Err: err}
}

func checkHeader(doc *spdx.Document) error {
	var problems []error
	for _, f := range []struct{ field, want, got string }{
		{"spdxVersion", "SPDX-2.3", doc.SPDXVersion}, {"dataLicense", "CC0-1.0", doc.DataLicense},
		{"SPDXID", "DOCUMENT", string(doc.SPDXIdentifier)},
	} {
		if f.got != f.want {
			problems = append(problems, fault.Mismatch("SBOM: wrong "+f.field, f.want, f.got))
		}
	}
	if doc.DocumentName == "" {
		problems = append(problems, invalid("no document name", "", nil))
	}
	if u, err := url.Parse(doc.DocumentNamespace); err != nil || u.Host == "" ||
		strings.Contains(doc.DocumentNamespace, "#") || !absoluteURI.MatchString(doc.DocumentNamespace) {
		problems = append(problems, invalid("documentNamespace is not an absolute URI without #", doc.DocumentNamespace, err))
	}
	return errors.Join(problems...)
}

func checkCreation(info *spdx.CreationInfo) error {
	if info == nil {
		return invalid("no creationInfo", "", nil)
	}
	var problems []error
	if _, err := time.Parse(timeForm, info.Created); err != nil {
		problems = append(problems, invalid("created is not a time in UTC", info.Created, err))
	}
	if !slices.Contains(info.Creators, common.Creator{CreatorType: "Tool", Creator: creator}) {
		problems = append(problems, fault.Mismatch("SBOM: made by another tool",
			"Tool: "+creator, fmt.Sprint(info.Creators)))
	}
	if len(authors(info)) != 1 {
		problems = append(problems, fault.Mismatch("SBOM: not of one author", "one organisation or person besides the tool",
			fmt.Sprint(info.Creators)))
	}
	return errors.Join(problems...)
}

// authors are the creators of a document that are no tools.
func authors(info *spdx.CreationInfo) []common.Creator {
	return slices.DeleteFunc(slices.Clone(info.Creators), func(c common.Creator) bool { return c.CreatorType == "Tool" })
}

func checkIdentifiers(doc *spdx.Document) error {
	seen := map[common.ElementID]bool{"DOCUMENT": true}
	var problems []error
	for _, id := range elements(doc) {
		if id == "" || seen[id] {
			problems = append(problems, invalid("an identifier is missing or used twice", fmt.Sprintf("%q", id), nil))
		} else if !idString.MatchString(string(id)) {
			problems = append(problems, invalid("an identifier has other characters than letters, digits, . and -",
				fmt.Sprintf("%.200q", id), nil))
		}
		seen[id] = true
	}
	return few(problems)
}

// elements are the identifiers of all that a document is about, beside itself.
func elements(doc *spdx.Document) (ids []common.ElementID) {
	for _, p := range doc.Packages {
		ids = append(ids, p.PackageSPDXIdentifier)
	}
	for _, f := range doc.Files {
		ids = append(ids, f.FileSPDXIdentifier)
	}
	for _, s := range doc.Snippets {
		ids = append(ids, s.SnippetSPDXIdentifier)
	}
	return ids
}

// checkRelationships wants both ends of each to be in the document, or in another that it names. What is related to
// nothing, or to what nobody knows, says so by a word.
func checkRelationships(doc *spdx.Document) error {
	known := map[common.DocElementID]bool{{SpecialID: none}: true, {SpecialID: noAssertion}: true,
		common.MakeDocElementID("", "DOCUMENT"): true}
	for _, id := range elements(doc) {
		known[common.DocElementID{ElementRefID: id}] = true
	}
	others := map[common.DocumentID]bool{}
	for _, r := range doc.ExternalDocumentReferences {
		others[r.DocumentRefID] = true
	}
	named := func(id common.DocElementID) bool { return id.ElementRefID != "" && others[id.DocumentRefID] }
	var problems []error
	for _, r := range doc.Relationships {
		for _, end := range []common.DocElementID{r.RefA, r.RefB} {
			if !known[end] && !named(end) || end == r.RefA && end.SpecialID != "" {
				problems = append(problems, invalid("a relationship leads nowhere",
					fmt.Sprintf("%.200q", common.RenderDocElementID(end)), nil))
			}
		}
	}
	return few(problems)
}

// checkMandatory wants what SPDX 2.3 demands of each package and file: a name, where the package is from (clause
// 7.7: a URI, NONE or NOASSERTION), and the file's SHA-1 (clause 8.4).
func checkMandatory(doc *spdx.Document) error {
	var problems []error
	say := func(ok bool, id common.ElementID, lacks string) {
		if !ok {
			problems = append(problems, invalid(string(id)+" has no "+lacks, "", nil))
		}
	}
	for _, p := range doc.Packages {
		say(p.PackageName != "", p.PackageSPDXIdentifier, "name")
		from := p.PackageDownloadLocation
		say(from == none || from == noAssertion || absoluteURI.MatchString(from), p.PackageSPDXIdentifier,
			"download location")
	}
	for _, f := range doc.Files {
		say(f.FileName != "", f.FileSPDXIdentifier, "name")
		sha1 := func(c common.Checksum) bool { return c.Algorithm == common.SHA1 && c.Value != "" }
		say(slices.ContainsFunc(f.Checksums, sha1), f.FileSPDXIdentifier, "SHA-1")
	}
	return few(problems)
}

// checkDescribed wants at least one DESCRIBES, each of a package with the digest of an image.
func checkDescribed(doc *spdx.Document) error {
	roots, packages := described(doc), byID(doc)
	if len(roots) == 0 {
		return invalid("the document describes nothing", "", nil)
	}
	for _, id := range roots {
		if p := packages[id]; p == nil || sha256Of(p.PackageChecksums) == "" {
			return invalid("what the document describes is no image with a SHA-256", string(id), nil)
		}
	}
	return nil
}

// byID are the packages by their identifiers.
func byID(doc *spdx.Document) map[common.ElementID]*spdx.Package {
	out := map[common.ElementID]*spdx.Package{}
	for _, p := range doc.Packages {
		out[p.PackageSPDXIdentifier] = p
	}
	return out
}

// sha256Of returns the SHA-256 among checksums, in lower-case hex, or "".
func sha256Of(checksums []common.Checksum) string {
	for _, c := range checksums {
		if c.Algorithm == common.SHA256 {
			return strings.ToLower(c.Value)
		}
	}
	return ""
}
