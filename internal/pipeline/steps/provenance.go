package steps

import (
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/artifact/provenance"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// WriteProvenance stages the statement about what is staged so far, and about the
// images that the measurements name. went are what went in that lies in no commit.
func (r *Release) WriteProvenance(went []provenance.Resource) error {
	published, err := ReadMeasurements(r.Assets())
	if err != nil {
		return err
	}
	b := provenance.Build{Repository: r.Env.Config.Repository, Tag: r.Tag, Commit: r.Checkout.Commit,
		Invocation: r.Env.Config.RunPage(), Subjects: published.Images(), Dependencies: went}
	for _, name := range provenance.Assets(r.Tag.Family) {
		if b.Subjects[name], _, err = digest.OfFile(filepath.Join(r.Assets(), name)); err != nil {
			return err
		}
	}
	for _, path := range provenance.Files(r.Tag.Family) {
		sum, _, err := digest.OfFile(filepath.Join(r.Env.Root, filepath.FromSlash(path)))
		if err != nil {
			return err
		}
		b.Dependencies = append(b.Dependencies, provenance.File(path, sum))
	}
	return r.EncodeAsset(release.ProvenanceAsset, provenance.New(b))
}
