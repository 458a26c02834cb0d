package sbom

import (
	"fmt"
	"strings"

	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Package is what an image has, as its record says it: a Debian package, or a program that no package manager knows.
type Package struct {
	Name, Version string
	URL           string        // its package URL, in the one form that is taken
	Supplier      string        // the organisation from which the image has it; empty where nobody knows
	SHA256        digest.Digest // of a program
	From          string        // where a program was downloaded from; empty: it was compiled for the image
}

// Of SPDX: what a creator or a supplier is, and what our own programs are linked of.
const (
	organization = "Organization"
	ownModule    = "pkg:golang/github.com/calimero-network/mero-tee"
	programID    = "Package-program-" // begins the identifier of a program
)

// Owner is who owns a repository, owner/name: the author of its documents, who
// supplies its images and the programs that it compiles.
func Owner(repository string) string {
	owner, _, _ := strings.Cut(repository, "/")
	return owner
}

// supply says in one source's document what syft cannot see: who supplies the
// image and what is in it, the version of our own module, and programs that are
// linked of no modules. It takes the document's root.
func supply(doc *spdx.Document, root *spdx.Package, o Options, packages []Package) {
	owner := Owner(o.Repository)
	suppliers := map[string]string{ownModule: owner}
	for _, p := range packages {
		suppliers[p.URL] = p.Supplier
	}
	for _, p := range doc.Packages {
		for _, url := range packageURLs(p) {
			if by := suppliers[url]; by != "" {
				p.PackageSupplier = supplier(by)
			}
			if url == ownModule {
				p.PackageVersion = o.Version // a build from a work tree records none
			}
		}
	}
	root.PackageSupplier = supplier(owner)
	for _, p := range packages {
		if !p.SHA256.IsZero() {
			doc.Packages = append(doc.Packages, p.program())
			doc.Relationships = append(doc.Relationships, &spdx.Relationship{Relationship: common.TypeRelationshipContains,
				RefA: common.MakeDocElementID("", string(root.PackageSPDXIdentifier)),
				RefB: common.MakeDocElementID("", string(p.id()))})
		}
	}
}

func supplier(organisation string) *common.Supplier {
	return &common.Supplier{SupplierType: organization, Supplier: organisation}
}

// id is the program's in its document; names of programs may have "_", identifiers not.
func (p Package) id() common.ElementID {
	return common.ElementID(programID + strings.ReplaceAll(p.Name, "_", "-"))
}

func (p Package) program() *spdx.Package {
	out := &spdx.Package{PackageName: p.Name, PackageSPDXIdentifier: p.id(), PackageVersion: p.Version,
		PackageSupplier: &common.Supplier{Supplier: noAssertion}, PackageDownloadLocation: noAssertion,
		PackageChecksums:        []common.Checksum{{Algorithm: common.SHA256, Value: p.SHA256.Hex()}},
		PackageLicenseConcluded: noAssertion, PackageLicenseDeclared: noAssertion, PackageCopyrightText: noAssertion,
		PackageExternalReferences: []*spdx.PackageExternalReference{{Category: common.CategoryPackageManager,
			RefType: common.TypePackageManagerPURL, Locator: p.URL}},
		PrimaryPackagePurpose: "APPLICATION"}
	if p.Supplier != "" {
		out.PackageSupplier = supplier(p.Supplier)
	}
	if p.From != "" {
		out.PackageDownloadLocation = p.From
	}
	return out
}

// suppliedBy is the organisation that supplies a package; empty where the document knows none.
func suppliedBy(p *spdx.Package) string {
	if p.PackageSupplier == nil || p.PackageSupplier.SupplierType != organization {
		return ""
	}
	return p.PackageSupplier.Supplier
}

// differs says what a document says otherwise of a package; empty: nothing.
func (p Package) differs(got *spdx.Package) string {
	urls := packageURLs(got)
	switch by, sum := suppliedBy(got), sha256Of(got.PackageChecksums); {
	case len(urls) == 0:
		return "has no package URL"
	case len(urls) > 1:
		return fmt.Sprintf("has %d package URLs", len(urls))
	case urls[0] != p.URL:
		return fmt.Sprintf("has %.200q", urls[0])
	case by != p.Supplier:
		return fmt.Sprintf("has the supplier %.60q instead of %.60q", by, p.Supplier)
	case !p.SHA256.IsZero() && sum != p.SHA256.Hex():
		return fmt.Sprintf("has the digest %.64q", sum)
	}
	return ""
}
