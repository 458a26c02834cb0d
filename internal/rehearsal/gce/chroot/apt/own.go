package apt

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// keyring is the distribution's own, as its package installs it.
func (d *Distribution) keyring(root fs.FS) (string, error) {
	found, err := fs.Glob(root, "usr/share/keyrings/"+d.ID+"-archive-keyring.*")
	if err != nil {
		return "", err
	}
	for _, ending := range []string{".gpg", ".pgp"} {
		if name := "usr/share/keyrings/" + d.ID + "-archive-keyring" + ending; slices.Contains(found, name) {
			return "/" + name, nil
		}
	}
	return "", fmt.Errorf("no keyring /usr/share/keyrings/%s-archive-keyring.gpg", d.ID)
}

// own keeps the suites of the distribution itself. A source that names no
// keyring is given the distribution's, so that one whose suite has the same
// name by chance is refused by apt.
func (d *Distribution) own(s Source, keyring string) (Source, bool) {
	if s.disabled || s.trusted || !slices.Contains(s.Types, "deb") || !slices.Contains(s.Components, "main") {
		return Source{}, false
	}
	if s.SignedBy == "" {
		s.SignedBy = keyring
	}
	if !strings.HasPrefix(s.SignedBy, "/usr/share/keyrings/"+d.ID+"-archive-keyring.") || len(strings.Fields(s.SignedBy)) != 1 {
		return Source{}, false
	}
	wanted := []string{d.Codename, d.Codename + "-updates", d.Codename + "-security"}
	s.Suites = slices.DeleteFunc(slices.Clone(s.Suites), func(suite string) bool { return !slices.Contains(wanted, suite) })
	return s, len(s.Suites) > 0
}

// MirrorFiles are the files on this machine that its sources read their
// mirrors from (apt-transport-mirror(1)).
func (d *Distribution) MirrorFiles() []string {
	var out []string
	for _, s := range d.Sources {
		for _, uri := range s.URIs {
			if file, ok := strings.CutPrefix(uri, "mirror+file:"); ok && !slices.Contains(out, file) {
				out = append(out, file)
			}
		}
	}
	return out
}
