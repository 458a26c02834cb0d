package noderelease

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/inprocess"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The step refuses what syft made of a folder when a package of the record is without its package URL in it.
func TestAPackageWithoutItsURL(t *testing.T) {
	t.Parallel()
	small, err := os.ReadFile("../../artifact/sbom/testdata/small.spdx.json")
	require.NoError(t, err)
	record := inprocess.Image{Version: release.Version{Major: 1}, Profile: release.Debug}.Record("")
	record.Packages[0] = image.Package{Name: "curl", Version: "8", Architecture: "amd64", Source: "curl",
		SourceVersion: "8"}
	sum, err := digest.Parse("sha256:098588053cbd63bb45281e7b92e012f27e6fe935dfd37b0f52e44aeb6ecf4915")
	require.NoError(t, err)
	const behind = "\",\n      \"downloadLocation"
	const listed = "pkg:deb/simulated/curl@8?arch=amd64&distro=simulated-1"
	with := func(purl string) error {
		doc := strings.NewReplacer(`"name": "github.com/google/uuid"`, `"name": "curl"`, `"v1.6.0"`, `"8"`,
			"pkg:golang/github.com/google/uuid@v1.6.0", purl, "NOASSERTION"+behind,
			"Organization: simulated"+behind).Replace(string(small))
		packages, err := record.Listed("calimero-network/mero-tee")
		if err != nil {
			return err
		}
		return listsAll([]byte(doc), []listing{{record.Profile, sum, packages[:1]}})
	}
	require.NoError(t, with(listed))
	err = with("pkg:deb/debian/curl@8?arch=amd64")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "profile debug: SBOM: 1 of 1 packages are missing, or without their package URL")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, listed, f.Expected)
	require.Equal(t, `curl 8 has "pkg:deb/debian/curl@8?arch=amd64"`, f.Got)
	record.Boot.OSRelease = "ID=simulated\n"
	require.ErrorContains(t, with(listed), "the image's os-release has no VERSION_ID")
}
