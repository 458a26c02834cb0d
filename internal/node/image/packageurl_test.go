package image_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestDistribution(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]image.Distribution{
		"ID=debian\nVERSION_ID=\"12\"\n":                           {ID: "debian", Version: "12"},
		"ID=ubuntu\nID_LIKE=debian\nVERSION_ID='26.04'\n":          {ID: "ubuntu", Version: "26.04"},
		"VERSION_ID=22\nID_LIKE=\"ubuntu debian\"\nID=linuxmint\n": {ID: "linuxmint", Version: "22"},
	} {
		r := complete(t, release.Debug)
		systemOf(t, r, text)
		got, err := r.Distribution()
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	var none image.Record
	_, err := none.Listed()
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

// The URLs are those of the purl specification, and of the scanners that read the field upstream.
func TestListed(t *testing.T) {
	t.Parallel()
	got, err := complete(t, release.Debug).Listed()
	require.NoError(t, err)
	require.Equal(t, []sbom.Package{
		{Name: "base-files", Version: "13ubuntu10", URL: "pkg:deb/ubuntu/base-files@13ubuntu10?arch=amd64&distro=ubuntu-26.04"},
		{Name: "libc6", Version: "2.39-0ubuntu8",
			URL: "pkg:deb/ubuntu/libc6@2.39-0ubuntu8?arch=amd64&distro=ubuntu-26.04&upstream=glibc"},
		{Name: "libc6", Version: "2.39-0ubuntu8",
			URL: "pkg:deb/ubuntu/libc6@2.39-0ubuntu8?arch=i386&distro=ubuntu-26.04&upstream=glibc"},
		{Name: "libstdc++6", Version: "1:14~rc+1-2+b1", URL: "pkg:deb/ubuntu/libstdc%2B%2B6@1%3A14~rc%2B1-2%2Bb1" +
			"?arch=amd64&distro=ubuntu-26.04&upstream=gcc-14%401%3A14~rc%2B1-2"},
	}, got)
}

func TestStatus(t *testing.T) {
	t.Parallel()
	for want, p := range map[string]image.Package{
		"Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n": {"a", "1", "all", "a", "1"},
		"Package: a\nStatus: install ok installed\nSource: b\nVersion: 1\nArchitecture: all\n\n": {"a", "1", "all", "b",
			"1"},
		"Package: a\nStatus: install ok installed\nSource: a (0)\nVersion: 1\nArchitecture: all\n\n": {"a", "1", "all",
			"a", "0"},
	} {
		require.Equal(t, want, p.Status())
	}
}
