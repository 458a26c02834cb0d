package image

import (
	"strings"

	"github.com/calimero-network/mero-tee/internal/artifact/provenance"
)

// Ingredients are what went into the image and lies in no commit: the base image,
// which the cloud names and gives no digest of, and the programs of others.
func (r *Record) Ingredients() []provenance.Resource {
	out := []provenance.Resource{{Name: "base image",
		URI: "https://www.googleapis.com/compute/v1/projects/" + r.Base.Project + "/global/images/" + r.Base.Name}}
	for _, b := range r.Binaries {
		if strings.HasPrefix(b.Source, "https://") {
			out = append(out, provenance.Resource{Name: b.Name + " " + b.Version, Digest: provenance.SHA256(b.SHA256),
				DownloadLocation: b.Source})
		}
	}
	return out
}
