package environment

import (
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/artifact/trust"
	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/build"
	"github.com/calimero-network/mero-tee/internal/node/image"
)

// roots are whom production believes. Nothing that a process is told changes
// them. They have a file of their own because it is the only one that the test
// of the release workflows (cli/workflow/walk) compiles otherwise.
type roots struct {
	tdx, ita, google [32]byte

	platform string // see Settings.PlatformFile
	banner   string // see Settings.Banner

	sigstore []byte // the first root of Sigstore's TUF repository

	images func(*build.Builder) image.Images
}

// productionRoots are Intel's roots, Google's, and the public Sigstore. dir is the repository's folder.
func productionRoots(dir string) (r roots, err error) {
	if r.tdx, err = tdx.ParseRoot(tdx.IntelRootSHA256); err != nil {
		return r, err
	}
	if r.ita, err = tdx.ParseRoot(ita.IntelRootSHA256); err != nil {
		return r, err
	}
	if r.google, err = tdx.ParseRoot(endorsement.GoogleRootSHA256); err != nil {
		return r, err
	}
	r.platform = filepath.Join(dir, filepath.FromSlash(measurement.PlatformsFile))
	r.sigstore = trust.PublicRoot()
	r.images = func(b *build.Builder) image.Images { return b }
	return r, nil
}
