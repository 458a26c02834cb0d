package audit

import (
	"context"

	"github.com/calimero-network/mero-tee/internal/artifact/provenance"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	vouchesName = "provenance vouches for every asset and image"
	madeOfName  = "provenance is made of the commit's files"
)

// provenance judges the statement: it is about this release, all of it and nothing
// else, of the signatures' commit, by the workflow that signed. Then what it says
// went in is compared with the commit's own files.
func (a *auditor) provenance(ctx context.Context, published *measurement.Published) {
	data, err := a.read(release.ProvenanceAsset)
	if err != nil {
		a.add(check.Of(vouchesName, err))
		return
	}
	s, err := provenance.Decode(data)
	if err != nil {
		a.add(check.Of(vouchesName, err))
		return
	}
	if published == nil { // said under "measurements"
		return
	}
	b := provenance.Build{Repository: a.Repository, Tag: a.Tag, Commit: published.Commit, Subjects: published.Images(),
		Dependencies: a.ingredients()}
	for _, name := range provenance.Assets(a.Tag.Family) {
		sum, ok := a.digests[name]
		if !ok { // that it is missing was said; the statement names it all the same
			sum = s.Of(name)
		}
		b.Subjects[name] = sum
	}
	a.add(check.Of(vouchesName, s.Judge(b)))
	a.add(a.madeOfFiles(ctx, s, published.Commit))
}

// ingredients are what the image records say went into the images and lies in no commit.
func (a *auditor) ingredients() (out []provenance.Resource) {
	for _, p := range release.Profiles() {
		if record, ok := a.records[p]; ok { // else said under "image record"
			out = append(out, record.Ingredients()...)
		}
	}
	return out
}

// madeOfFiles compares the digests of the files that decide what a release is made
// of with those files in the commit.
func (a *auditor) madeOfFiles(ctx context.Context, s *provenance.Statement, commit string) check.Result {
	return a.ofCommit(ctx, madeOfName, commit, func(read reader) error {
		files, err := deciding(a.Tag.Family, read)
		if err != nil {
			return err
		}
		return s.MadeOf(files)
	})
}

// deciding are the files that decide what a release of the family is made of.
func deciding(f release.Family, read reader) (out []provenance.Resource, err error) {
	for _, path := range provenance.Files(f) {
		data, err := read(path)
		if err != nil {
			return nil, err
		}
		out = append(out, provenance.File(path, digest.Of(data)))
	}
	return out, nil
}
