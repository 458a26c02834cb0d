package sbom

import (
	"debug/buildinfo"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"
	"github.com/spdx/tools-golang/spdxlib"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

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
		checkMandatory(doc), checkLicences(doc)}
	if err := spdxlib.ValidateDocument(doc); err != nil {
		problems = append(problems, invalid("a relationship leads nowhere", "", err))
	}
	return errors.Join(problems...)
}

// read parses data strictly. The SPDX library dereferences null list elements
// (v0.5.7: {"packages":[null]}), so a panic of its decoder is an error of the input.
func read(data []byte) (doc *spdx.Document, err error) {
	if err := canonical.Check(data); err != nil {
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
	if slices.Contains(doc.Packages, nil) || slices.Contains(doc.Files, nil) || slices.Contains(doc.OtherLicenses, nil) {
		return nil, errors.New("a list holds null")
	}
	return doc, nil
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
		strings.Contains(doc.DocumentNamespace, "#") {
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
	add := func(id common.ElementID) {
		if id == "" || seen[id] {
			problems = append(problems, invalid("an identifier is missing or used twice", fmt.Sprintf("%q", id), nil))
		} else if !idString.MatchString(string(id)) {
			problems = append(problems, invalid("an identifier has other characters than letters, digits, . and -",
				fmt.Sprintf("%.200q", id), nil))
		}
		seen[id] = true
	}
	for _, p := range doc.Packages {
		add(p.PackageSPDXIdentifier)
	}
	for _, f := range doc.Files {
		add(f.FileSPDXIdentifier)
	}
	return errors.Join(problems...)
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
		u, err := url.Parse(from)
		say(from == none || from == noAssertion || err == nil && u.IsAbs(), p.PackageSPDXIdentifier, "download location")
	}
	for _, f := range doc.Files {
		say(f.FileName != "", f.FileSPDXIdentifier, "name")
		sha1 := func(c common.Checksum) bool { return c.Algorithm == common.SHA1 && c.Value != "" }
		say(slices.ContainsFunc(f.Checksums, sha1), f.FileSPDXIdentifier, "SHA-1")
	}
	return errors.Join(problems...)
}

// checkDescribed wants at least one DESCRIBES, each of a package with the digest of an image.
func checkDescribed(doc *spdx.Document) error {
	roots := described(doc)
	if len(roots) == 0 {
		return invalid("the document describes nothing", "", nil)
	}
	for _, id := range roots {
		if p := packageOf(doc, id); p == nil || sha256Of(p.PackageChecksums) == "" {
			return invalid("what the document describes is no image with a SHA-256", string(id), nil)
		}
	}
	return nil
}

// packageOf is the package with an identifier; nil when there is none.
func packageOf(doc *spdx.Document, id common.ElementID) *spdx.Package {
	i := slices.IndexFunc(doc.Packages, func(p *spdx.Package) bool { return p.PackageSPDXIdentifier == id })
	if i < 0 {
		return nil
	}
	return doc.Packages[i]
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

// Packages are what a document says is in each image.
type Packages struct {
	doc     *spdx.Document
	misread error // by other readers
}

// Read reads a document, once for the images of all profiles.
func Read(data []byte) (Packages, error) {
	doc, err := read(data)
	if err != nil {
		return Packages{}, invalid("not an SPDX 2.3 JSON document", "", err)
	}
	return Packages{doc, checkSpelling(data)}, nil
}

// Form is Check, without binaries, of the document that was read.
func (p Packages) Form() error { return errors.Join(checkForm(p.doc), p.misread) }

// Check wants every package among those that the document says are in the image
// with this digest, each with exactly one package URL, its own, by which scanners
// know it, and with its supplier; and neither a Debian package nor a program beside
// them. The profiles of a release do not hold the same.
func (p Packages) Check(image [32]byte, packages []Package) error {
	root := imageOf(p.doc, image)
	if root == "" {
		return invalid("it does not describe the image", hex.EncodeToString(image[:]), nil)
	}
	listed := contained(p.doc, root)
	var wanted, got []string
	for _, want := range packages {
		name := want.Name + " " + want.Version
		at := slices.IndexFunc(listed[name], func(p *spdx.Package) bool { return want.differs(p) == "" })
		switch {
		case at >= 0:
			listed[name] = slices.Delete(listed[name], at, at+1)
			continue
		case len(listed[name]) == 0:
			got = append(got, name+" is missing")
		default:
			got = append(got, name+" "+want.differs(listed[name][0]))
		}
		wanted = append(wanted, want.URL)
	}
	if len(wanted) > 0 {
		return fault.Mismatch(fmt.Sprintf("SBOM: %d of %d packages are missing, or without their package URL", len(wanted),
			len(packages)), some(wanted), some(got))
	}
	return unknown(listed)
}

// unknown refuses packages and programs that are left when all that the image has were found.
func unknown(left map[string][]*spdx.Package) error {
	var got []string
	for _, name := range slices.Sorted(maps.Keys(left)) {
		if slices.ContainsFunc(left[name], isRecorded) {
			got = append(got, fmt.Sprintf("%.200q", name))
		}
	}
	if len(got) == 0 {
		return nil
	}
	return fault.Mismatch(fmt.Sprintf("SBOM: %d packages or programs are not in the image", len(got)),
		"those that its record lists", some(got))
}

// isRecorded says whether a package is of a kind that records list whole.
func isRecorded(p *spdx.Package) bool {
	return strings.HasPrefix(string(p.PackageSPDXIdentifier), programID) ||
		slices.ContainsFunc(packageURLs(p), func(url string) bool { return strings.HasPrefix(url, "pkg:deb/") })
}

// some are the first of a list, for people.
func some(list []string) string { return strings.Join(list[:min(len(list), 5)], ", ") }

// Subject is what a document has to be about.
type Subject struct {
	Repository    string // owner/name; the owner says so, and supplies the images
	Name, Version string
	Images        [][32]byte // by SHA-256
}

// Describe wants the document to be about these images and no others, by name,
// version, supplier and the SHA-256 of each: what is listed counts for what it is
// listed of. Its author must be who supplies them. Call it on a document of good form.
func (p Packages) Describe(s Subject) error {
	owner := Owner(s.Repository)
	author := []common.Creator{{CreatorType: organization, Creator: owner}}
	if got := authors(p.doc.CreationInfo); !slices.Equal(got, author) {
		return fault.Mismatch("SBOM: it is of another author", organization+": "+owner, fmt.Sprintf("%.200q", got))
	}
	line := func(name, version, by, sum string) string {
		return name + " " + version + " of " + by + " sha256:" + sum
	}
	want, got := map[string]bool{}, map[string]bool{}
	for _, image := range s.Images {
		want[line(s.Name, s.Version, owner, hex.EncodeToString(image[:]))] = true
	}
	for _, id := range described(p.doc) {
		if root := packageOf(p.doc, id); root != nil {
			got[line(root.PackageName, root.PackageVersion, suppliedBy(root), sha256Of(root.PackageChecksums))] = true
		}
	}
	if maps.Equal(want, got) {
		return nil
	}
	return fault.Mismatch("SBOM: it does not describe the images of this release, or others too",
		strings.Join(slices.Sorted(maps.Keys(want)), ", "), strings.Join(slices.Sorted(maps.Keys(got)), ", "))
}

func imageOf(doc *spdx.Document, image [32]byte) common.ElementID {
	for _, id := range described(doc) {
		if p := packageOf(doc, id); p != nil && sha256Of(p.PackageChecksums) == hex.EncodeToString(image[:]) {
			return id
		}
	}
	return ""
}

// contained are the packages that a described package contains, by "name version".
func contained(doc *spdx.Document, root common.ElementID) map[string][]*spdx.Package {
	inside := map[common.ElementID]bool{}
	for _, r := range doc.Relationships {
		if r.Relationship == common.TypeRelationshipContains && r.RefA.ElementRefID == root {
			inside[r.RefB.ElementRefID] = true
		}
	}
	out := map[string][]*spdx.Package{}
	for _, p := range doc.Packages {
		if inside[p.PackageSPDXIdentifier] {
			name := p.PackageName + " " + p.PackageVersion
			out[name] = append(out[name], p)
		}
	}
	return out
}

// packageURLs are all that a package is known by.
func packageURLs(p *spdx.Package) (urls []string) {
	for _, r := range p.PackageExternalReferences {
		if r != nil && r.RefType == common.TypePackageManagerPURL {
			urls = append(urls, r.Locator)
		}
	}
	return urls
}

// module is a Go module as debug/buildinfo and syft both name it.
type module struct{ path, version string }

// modulesOf lists what the binary at path was linked from. The main module has
// no version: a build from a work tree records none.
func modulesOf(path string) ([]module, error) {
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, err
	}
	version, _, _ := strings.Cut(info.GoVersion, " ") // "go1.26.8 X:experiment"
	modules := []module{{path: info.Main.Path}, {"stdlib", version}}
	for _, dep := range info.Deps {
		modules = append(modules, linked(dep))
	}
	return modules, nil
}

// linked names what was linked, not what was asked for. A module replaced by a
// local folder keeps its path and has no version, as in syft's documents.
func linked(dep *debug.Module) module {
	switch r := dep.Replace; {
	case r == nil:
		return module{dep.Path, dep.Version}
	case strings.HasPrefix(r.Path, ".") || strings.HasPrefix(r.Path, "/"):
		return module{path: dep.Path}
	default:
		return module{r.Path, r.Version}
	}
}

// checkBinary wants the file with the binary's digest, and every module among
// the packages that syft found in that very file.
func checkBinary(doc *spdx.Document, path string) error {
	modules, err := modulesOf(path)
	if err != nil {
		return &fault.Error{Code: fault.Usage, Message: "not a Go binary: " + path, Err: err}
	}
	sum, _, err := digest.OfFile(path)
	if err != nil {
		return err
	}
	files := filesWith(doc, sum.Hex())
	if len(files) == 0 {
		return fault.Mismatch("SBOM: the binary is not in it: "+filepath.Base(path),
			"a file with "+sum.String(), fmt.Sprintf("%d other files", len(doc.Files)))
	}
	listed := packagesIn(doc, files)
	var problems []error
	for _, m := range modules {
		if !listed[m] {
			problems = append(problems, fault.Mismatch(fmt.Sprintf("SBOM: Go module missing: %s %s", m.path, m.version),
				"every module that "+filepath.Base(path)+" was linked from", "absent"))
		}
	}
	return errors.Join(problems...)
}

func filesWith(doc *spdx.Document, digest string) map[common.ElementID]bool {
	ids := map[common.ElementID]bool{}
	for _, f := range doc.Files {
		if sha256Of(f.Checksums) == digest {
			ids[f.FileSPDXIdentifier] = true
		}
	}
	return ids
}

// packagesIn collects the Go packages whose existence one of the files proves,
// each with its version, and the same path without version for a main module.
func packagesIn(doc *spdx.Document, files map[common.ElementID]bool) map[module]bool {
	const evidence = "evident-by" // syft's word, in the comment of an OTHER relationship
	in := map[common.ElementID]bool{}
	for _, r := range doc.Relationships {
		if r.Relationship == common.TypeRelationshipOther && strings.HasPrefix(r.RelationshipComment, evidence) &&
			files[r.RefB.ElementRefID] {
			in[r.RefA.ElementRefID] = true
		}
	}
	listed := map[module]bool{}
	for _, p := range doc.Packages {
		if in[p.PackageSPDXIdentifier] && slices.ContainsFunc(p.PackageExternalReferences, isGoModule) {
			listed[module{p.PackageName, p.PackageVersion}] = true
			listed[module{path: p.PackageName}] = true
		}
	}
	return listed
}

func isGoModule(r *spdx.PackageExternalReference) bool {
	return r != nil && strings.HasPrefix(r.Locator, "pkg:golang/")
}
