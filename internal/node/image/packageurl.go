package image

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/osrelease"
)

// Distribution is where an image's packages are from, in the words of its own
// os-release: "ubuntu", "26.04".
type Distribution struct{ ID, Version string }

// idForm is that of ID and VERSION_ID in os-release(5).
var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// Distribution reads the os-release that the image boots, and RTMR2 follows. The
// error has code 10: its packages would be nobody's, or not of Debian's kind,
// and no scanner would find anything in them.
func (r *Record) Distribution() (Distribution, error) {
	v, err := osrelease.Parse(r.Boot.OSRelease)
	if err != nil {
		return Distribution{}, &fault.Error{Code: fault.Verification, Message: "the image's os-release", Err: err}
	}
	for _, key := range []string{"ID", "VERSION_ID"} {
		if !idForm.MatchString(v[key]) {
			return Distribution{}, fault.Mismatch("the image's os-release has no "+key+" that names a release",
				"lower-case letters, digits, '.', '_' and '-'", fmt.Sprintf("%.60q", v[key]))
		}
	}
	if v["ID"] != "debian" && !slices.Contains(strings.Split(v["ID_LIKE"], " "), "debian") {
		return Distribution{}, fault.Mismatch("the image's os-release names no distribution of Debian's kind",
			"ID or ID_LIKE with debian", fmt.Sprintf("%.60q like %.60q", v["ID"], v["ID_LIKE"]))
	}
	return Distribution{ID: v["ID"], Version: v["VERSION_ID"]}, nil
}

// URL is the package's URL, by which scanners know it: in the canonical form of
// the purl specification, with the qualifiers arch and distro, and upstream where
// its source has another name or version.
func (d Distribution) URL(p Package) string {
	query := "arch=" + url.QueryEscape(p.Architecture) + "&distro=" + url.QueryEscape(d.ID+"-"+d.Version)
	if upstream := p.upstream(); upstream != "" {
		query += "&upstream=" + url.QueryEscape(upstream)
	}
	return "pkg:deb/" + d.ID + "/" + url.QueryEscape(p.Name) + "@" + url.QueryEscape(p.Version) + "?" + query
}

// upstream is "source" or "source@version" as far as they are not the package's own.
func (p Package) upstream() string {
	switch {
	case p.SourceVersion != p.Version:
		return p.Source + "@" + p.SourceVersion
	case p.Source != p.Name:
		return p.Source
	}
	return ""
}

// Status is the package in the form of /var/lib/dpkg/status, reduced to what a record says.
func (p Package) Status() string {
	text := "Package: " + p.Name + "\nStatus: install ok installed\n"
	switch {
	case p.SourceVersion != p.Version:
		text += "Source: " + p.Source + " (" + p.SourceVersion + ")\n"
	case p.Source != p.Name:
		text += "Source: " + p.Source + "\n"
	}
	return text + "Version: " + p.Version + "\nArchitecture: " + p.Architecture + "\n\n"
}

// Listed are the packages as an SBOM has to list them. Call it on a record that Check passed.
func (r *Record) Listed() ([]sbom.Package, error) {
	d, err := r.Distribution()
	if err != nil {
		return nil, err
	}
	out := make([]sbom.Package, 0, len(r.Packages))
	for _, p := range r.Packages {
		out = append(out, sbom.Package{Name: p.Name, Version: p.Version, URL: d.URL(p)})
	}
	return out, nil
}
