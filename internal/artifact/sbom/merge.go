package sbom

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/spdx/tools-golang/spdx"
	"github.com/spdx/tools-golang/spdx/v2/common"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
)

// namespace begins every documentNamespace; what follows is unique to the document.
const namespace = "https://github.com/calimero-network/mero-tee/spdx/"

// merge makes one document of one per source. docs is in the order of o.Sources.
func merge(o Options, docs []*spdx.Document) (*spdx.Document, error) {
	out := &spdx.Document{SPDXVersion: spdx.Version, DataLicense: spdx.DataLicense, SPDXIdentifier: "DOCUMENT",
		DocumentName: o.Name}
	for i, doc := range docs {
		if doc.CreationInfo == nil {
			return nil, errors.New("a document without creationInfo")
		}
		if err := distinguish(doc, o, o.Sources[i]); err != nil {
			return nil, fmt.Errorf("%s: %w", o.Sources[i].Label, err)
		}
		out.CreationInfo = doc.CreationInfo
		out.Packages = append(out.Packages, doc.Packages...)
		out.Files = append(out.Files, doc.Files...)
		out.Relationships = append(out.Relationships, doc.Relationships...)
		out.OtherLicenses = append(out.OtherLicenses, doc.OtherLicenses...)
	}
	out.CreationInfo.Created = o.Epoch.UTC().Format(timeForm)
	// syft names its maker as the author, who has not seen the document.
	out.CreationInfo.Creators = slices.DeleteFunc(out.CreationInfo.Creators,
		func(c common.Creator) bool { return c.CreatorType != "Tool" })
	out.CreationInfo.Creators = slices.Insert(out.CreationInfo.Creators, 0,
		common.Creator{CreatorType: organization, Creator: Owner(o.Repository)})
	if err := arrange(out); err != nil {
		return nil, err
	}
	out.DocumentNamespace = "" // what syft chose is random; ours follows from the content
	content, err := canonical.Marshal(out)
	if err != nil {
		return nil, err
	}
	out.DocumentNamespace = namespace + o.Name + "-" + o.Version + "-" + uuid.NewSHA1(uuid.NameSpaceURL, content).String()
	return out, nil
}

// distinguish says of one source's document what syft cannot see, and makes its
// identifiers different from those of the others: syft derives them from names and
// paths alone, which two profiles share.
func distinguish(doc *spdx.Document, o Options, source Source) error {
	roots := described(doc)
	if len(roots) != 1 {
		return fmt.Errorf("the document describes %d packages, not one", len(roots))
	}
	root := byID(doc)[roots[0]]
	if root == nil {
		return errors.New("what the document describes is no package")
	}
	supply(doc, root, o, source.known)
	rename := map[common.ElementID]common.ElementID{}
	for _, p := range doc.Packages {
		rename[p.PackageSPDXIdentifier] = suffixed(p.PackageSPDXIdentifier, source.Label)
		if p.PackageSPDXIdentifier == roots[0] && source.sha != "" {
			p.PackageChecksums = []common.Checksum{{Algorithm: common.SHA256, Value: source.sha}}
		}
	}
	for _, f := range doc.Files {
		rename[f.FileSPDXIdentifier] = suffixed(f.FileSPDXIdentifier, source.Label)
	}
	renameAll(doc, rename)
	return nil
}

func suffixed(id common.ElementID, label string) common.ElementID {
	return id + common.ElementID("-"+strings.ReplaceAll(label, "/", "-"))
}

func renameAll(doc *spdx.Document, to map[common.ElementID]common.ElementID) {
	apply := func(id *common.ElementID) {
		if other, ok := to[*id]; ok {
			*id = other
		}
	}
	for _, p := range doc.Packages {
		apply(&p.PackageSPDXIdentifier)
	}
	for _, f := range doc.Files {
		apply(&f.FileSPDXIdentifier)
	}
	for _, r := range doc.Relationships {
		apply(&r.RefA.ElementRefID)
		apply(&r.RefB.ElementRefID)
	}
}

// described lists what the document says it describes, whichever way round it says so.
func described(doc *spdx.Document) []common.ElementID {
	return below(doc, "DOCUMENT", common.TypeRelationshipDescribe, common.TypeRelationshipDescribeBy)
}

// below are the elements of the document at the other end of a relationship, or of its inverse. What has the same
// identifier in another document is none of them.
func below(doc *spdx.Document, of common.ElementID, down, up string) (ids []common.ElementID) {
	top := common.DocElementID{ElementRefID: of}
	for _, r := range doc.Relationships {
		other := r.RefB
		switch {
		case r.Relationship == down && r.RefA == top:
		case r.Relationship == up && r.RefB == top:
			other = r.RefA
		default:
			continue
		}
		if other.DocumentRefID == "" {
			ids = append(ids, other.ElementRefID)
		}
	}
	return ids
}

// arrange sorts every list and drops exact repetitions.
func arrange(doc *spdx.Document) (err error) {
	var errs [3]error
	doc.Packages, errs[0] = unique(doc.Packages, func(p *spdx.Package) string { return string(p.PackageSPDXIdentifier) })
	doc.Files, errs[1] = unique(doc.Files, func(f *spdx.File) string { return string(f.FileSPDXIdentifier) })
	doc.OtherLicenses, errs[2] = unique(doc.OtherLicenses,
		func(l *spdx.OtherLicense) string { return l.LicenseIdentifier })
	slices.SortFunc(doc.Relationships, compareRelationships)
	doc.Relationships = slices.CompactFunc(doc.Relationships,
		func(a, b *spdx.Relationship) bool { return compareRelationships(a, b) == 0 })
	return errors.Join(errs[:]...)
}

func unique[T any](list []*T, id func(*T) string) ([]*T, error) {
	slices.SortStableFunc(list, func(a, b *T) int { return cmp.Compare(id(a), id(b)) })
	var out []*T
	for _, e := range list {
		if last := len(out) - 1; last >= 0 && id(out[last]) == id(e) {
			if !reflect.DeepEqual(out[last], e) {
				return nil, fmt.Errorf("two different elements are called %s", id(e))
			}
			continue
		}
		out = append(out, e)
	}
	return out, nil
}

func compareRelationships(a, b *spdx.Relationship) int {
	return cmp.Or(
		cmp.Compare(common.RenderDocElementID(a.RefA), common.RenderDocElementID(b.RefA)),
		cmp.Compare(a.Relationship, b.Relationship),
		cmp.Compare(common.RenderDocElementID(a.RefB), common.RenderDocElementID(b.RefB)),
		cmp.Compare(a.RelationshipComment, b.RelationshipComment))
}
