package rehearsal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/release"
)

// first is what a rehearsal releases when nobody says otherwise.
var first = release.Version{Minor: 1}

// Versions are what the repository's version variables would say for a release
// of the tag, whose version is zero when nobody named one. A key service goes
// with the node release of its own number, and a patch of one that was rehearsed
// here with the node release of that one. A node release goes with the newest
// key service that was rehearsed here, or with one that comes before it.
func Versions(dist string, tag release.Tag) (kms, node release.Version) {
	none := tag.Version == release.Version{}
	if tag.Family == release.KMS {
		if none {
			tag.Version = first
		}
		if patched := (release.Version{Major: tag.Version.Major, Minor: tag.Version.Minor}); tag.Version.Patches(patched) &&
			there(onGitHub(dist, release.Tag{Family: release.KMS, Version: patched})) {
			return tag.Version, patched
		}
		return tag.Version, tag.Version.Final()
	}
	if none {
		tag.Version = free(dist)
	}
	if newest, ok := newestKMS(dist); ok {
		return newest, tag.Version
	}
	return before(tag.Version), tag.Version
}

// free is the first node version that is not taken by a simulated release,
// which a rehearsal of a key service brings along.
func free(dist string) release.Version {
	for v := first; ; v.Minor++ {
		tag := release.Tag{Family: release.Node, Version: v}
		if !there(onGitHub(dist, tag)) || there(filepath.Join(dist, tag.String())) {
			return v
		}
	}
}

func newestKMS(dist string) (newest release.Version, ok bool) {
	entries, err := os.ReadDir(filepath.Join(dist, "rehearsal", "github", "releases"))
	if err != nil {
		return newest, false // nothing was released yet
	}
	for _, e := range entries {
		tag, err := release.ParseTag(e.Name())
		if err == nil && tag.Family == release.KMS && tag.Stable() && (!ok || tag.Version.Compare(newest) > 0) {
			newest, ok = tag.Version, true
		}
	}
	return newest, ok
}

func onGitHub(dist string, tag release.Tag) string {
	return filepath.Join(dist, "rehearsal", "github", "releases", tag.String())
}

func there(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
