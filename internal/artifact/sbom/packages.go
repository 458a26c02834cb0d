package sbom

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Packages are what a document says is in each image.
type Packages struct{ doc *spdx.Document }

// Read reads a document, once for the images of all profiles.
func Read(data []byte) (Packages, error) {
	doc, err := read(data)
	if err != nil {
		return Packages{}, invalid("not an SPDX 2.3 JSON document", "", err)
	}
	return Packages{doc}, nil
}

// Check wants every package, "name version", among those that the document says
// are in the image with this digest: the profiles of a release do not hold the same.
func (p Packages) Check(image [32]byte, packages []string) error {
	root := imageOf(p.doc, image)
	if root == "" {
		return invalid("it does not describe the image", hex.EncodeToString(image[:]), nil)
	}
	listed := contained(p.doc, root)
	var missing []string
	for _, name := range packages {
		if !listed[name] {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return fault.Mismatch(fmt.Sprintf("SBOM: %d of %d packages are missing", len(missing), len(packages)),
		strings.Join(missing[:min(len(missing), 5)], ", "), fmt.Sprintf("%d others", len(listed)))
}

func imageOf(doc *spdx.Document, image [32]byte) common.ElementID {
	for _, id := range described(doc) {
		i := slices.IndexFunc(doc.Packages, func(p *spdx.Package) bool { return p.PackageSPDXIdentifier == id })
		if i >= 0 && sha256Of(doc.Packages[i].PackageChecksums) == hex.EncodeToString(image[:]) {
			return id
		}
	}
	return ""
}

// contained are the packages, "name version", that a described package contains.
func contained(doc *spdx.Document, root common.ElementID) map[string]bool {
	inside := map[common.ElementID]bool{}
	for _, r := range doc.Relationships {
		if r.Relationship == common.TypeRelationshipContains && r.RefA.ElementRefID == root {
			inside[r.RefB.ElementRefID] = true
		}
	}
	out := map[string]bool{}
	for _, p := range doc.Packages {
		if inside[p.PackageSPDXIdentifier] {
			out[p.PackageName+" "+p.PackageVersion] = true
		}
	}
	return out
}
