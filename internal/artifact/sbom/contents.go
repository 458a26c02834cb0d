package sbom

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

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

// Describe wants the document to be about these images and no others, each once, by name,
// version, supplier and the SHA-256 of each, and to list nothing that is in none of them:
// what is listed counts for what it is listed of. Its author must be who supplies them.
// Call it on a document of good form.
func (p Packages) Describe(s Subject) error {
	owner := Owner(s.Repository)
	author := []common.Creator{{CreatorType: organization, Creator: owner}}
	if got := authors(p.doc.CreationInfo); !slices.Equal(got, author) {
		return fault.Mismatch("SBOM: it is of another author", organization+": "+owner, fmt.Sprintf("%.200q", got))
	}
	line := func(name, version, by, sum string) string {
		return fmt.Sprintf("%.200s %.200s of %.200s sha256:%s", name, version, by, sum)
	}
	var want, got []string
	packages := byID(p.doc)
	for _, image := range s.Images {
		want = append(want, line(s.Name, s.Version, owner, hex.EncodeToString(image[:])))
	}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(described(p.doc)))) { // once, however often it is said
		if root := packages[id]; root != nil {
			got = append(got, line(root.PackageName, root.PackageVersion, suppliedBy(root), sha256Of(root.PackageChecksums)))
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		return fault.Mismatch("SBOM: it does not describe the images of this release, each once, or others too",
			strings.Join(want, ", "), some(got))
	}
	return nowhere(p.doc)
}

// nowhere refuses packages that are in none of the described: no check looks at them, and scanners report them.
func nowhere(doc *spdx.Document) error {
	placed := map[common.ElementID]bool{}
	for _, root := range described(doc) {
		placed[root] = true
		maps.Copy(placed, inImage(doc, root))
	}
	var got []string
	for _, p := range doc.Packages {
		if !placed[p.PackageSPDXIdentifier] {
			got = append(got, fmt.Sprintf("%.200q", p.PackageName+" "+p.PackageVersion))
		}
	}
	if len(got) == 0 {
		return nil
	}
	return fault.Mismatch(fmt.Sprintf("SBOM: %d packages are in none of the images", len(got)),
		"packages that an image contains", some(got))
}

func imageOf(doc *spdx.Document, image [32]byte) common.ElementID {
	packages := byID(doc)
	for _, id := range described(doc) {
		if p := packages[id]; p != nil && sha256Of(p.PackageChecksums) == hex.EncodeToString(image[:]) {
			return id
		}
	}
	return ""
}

// contained are the packages that a described package contains, by "name version".
func contained(doc *spdx.Document, root common.ElementID) map[string][]*spdx.Package {
	out := map[string][]*spdx.Package{}
	inside := inImage(doc, root)
	for _, p := range doc.Packages {
		if inside[p.PackageSPDXIdentifier] {
			name := p.PackageName + " " + p.PackageVersion
			out[name] = append(out[name], p)
		}
	}
	return out
}

func inImage(doc *spdx.Document, root common.ElementID) map[common.ElementID]bool {
	inside := map[common.ElementID]bool{}
	for _, id := range below(doc, root, common.TypeRelationshipContains, common.TypeRelationshipContainedBy) {
		inside[id] = true
	}
	return inside
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
