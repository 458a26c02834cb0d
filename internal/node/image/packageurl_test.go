package image_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestDistribution(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]image.Distribution{
		"ID=debian\nVERSION_ID=\"12\"\n":                           {ID: "debian", Version: "12", Name: "debian"},
		"ID=ubuntu\nID_LIKE=debian\nVERSION_ID='26.04'\n":          {ID: "ubuntu", Version: "26.04", Name: "ubuntu"},
		"ID=debian\nVERSION_ID=12\nNAME=\"Debian GNU/Linux\"\n":    {ID: "debian", Version: "12", Name: "Debian GNU/Linux"},
		"ID=debian\nVERSION_ID=12\nNAME='a \"b\"'\n":               {ID: "debian", Version: "12", Name: "debian"},
		"VERSION_ID=22\nID_LIKE=\"ubuntu debian\"\nID=linuxmint\n": {ID: "linuxmint", Version: "22", Name: "linuxmint"},
	} {
		r := complete(t, release.Debug)
		systemOf(t, r, text)
		got, err := r.Distribution()
		require.NoError(t, err, text)
		require.Equal(t, want, got)
	}
	var none image.Record
	_, err := none.Listed("owner/name")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

// The URLs are those of the purl specification, and of the scanners that read the field upstream.
func TestListed(t *testing.T) {
	t.Parallel()
	r := complete(t, release.Debug)
	merod, vector := digest.Of([]byte("merod")), digest.Of([]byte("vector"))
	const from = "https://github.com/calimero-network/core/releases/download/0.11+1/merod.tar.gz"
	r.Binaries = append(r.Binaries, image.Binary{Name: "merod", Version: "0.11+1", SHA256: merod, Source: from},
		image.Binary{Name: "odd", Version: "1", SHA256: vector, Source: "https://github.com/a%22b/x"},
		image.Binary{Name: "vector", Version: "1", SHA256: vector, Source: "https://example.org/vector"})
	got, err := r.Listed("owner/name")
	require.NoError(t, err)
	require.Equal(t, []sbom.Package{
		{Name: "base-files", Version: "13ubuntu10",
			URL:      "pkg:deb/ubuntu/base-files@13ubuntu10?arch=amd64&distro=ubuntu-26.04",
			Supplier: "ubuntu"},
		{Name: "libc6", Version: "2.39-0ubuntu8",
			URL:      "pkg:deb/ubuntu/libc6@2.39-0ubuntu8?arch=amd64&distro=ubuntu-26.04&upstream=glibc",
			Supplier: "ubuntu"},
		{Name: "libc6", Version: "2.39-0ubuntu8",
			URL:      "pkg:deb/ubuntu/libc6@2.39-0ubuntu8?arch=i386&distro=ubuntu-26.04&upstream=glibc",
			Supplier: "ubuntu"},
		{Name: "libstdc++6", Version: "1:14~rc+1-2+b1", URL: "pkg:deb/ubuntu/libstdc%2B%2B6@1%3A14~rc%2B1-2%2Bb1" +
			"?arch=amd64&distro=ubuntu-26.04&upstream=gcc-14%401%3A14~rc%2B1-2", Supplier: "ubuntu"},
		{Name: "mero-agent", Version: "1.2.3-rc.4", URL: "pkg:generic/mero-agent@1.2.3-rc.4", Supplier: "owner",
			SHA256: r.Binaries[0].SHA256},
		{Name: "merod", Version: "0.11+1", Supplier: "calimero-network", SHA256: merod, From: from,
			URL: "pkg:generic/merod@0.11%2B1?download_url=https%3A%2F%2Fgithub.com%2Fcalimero-network%2Fcore%2Freleases%2F" +
				"download%2F0.11%2B1%2Fmerod.tar.gz"},
		{Name: "odd", Version: "1", SHA256: vector, From: "https://github.com/a%22b/x",
			URL: "pkg:generic/odd@1?download_url=https%3A%2F%2Fgithub.com%2Fa%2522b%2Fx"},
		{Name: "vector", Version: "1", SHA256: vector, From: "https://example.org/vector",
			URL: "pkg:generic/vector@1?download_url=https%3A%2F%2Fexample.org%2Fvector"},
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
