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
type Distribution struct {
	ID, Version string
	Name        string // for people, "Ubuntu"; its ID where it says none
}

// idForm is that of ID and VERSION_ID in os-release(5).
var idForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// titleForm is that of a name that means the same in SPDX's line of a supplier.
var titleForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9 ._/+-]*$`)

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
	d := Distribution{ID: v["ID"], Version: v["VERSION_ID"], Name: v["NAME"]}
	if !titleForm.MatchString(d.Name) {
		d.Name = d.ID
	}
	return d, nil
}

// URL is the package's URL, by which scanners know it: in the canonical form of
// the purl specification, with the qualifiers arch and distro, and upstream where
// its source has another name or version.
func (d Distribution) URL(p Package) string {
	query := "arch=" + escaped(p.Architecture) + "&distro=" + escaped(d.ID+"-"+d.Version)
	if upstream := p.upstream(); upstream != "" {
		query += "&upstream=" + escaped(upstream)
	}
	return "pkg:deb/" + d.ID + "/" + escaped(p.Name) + "@" + escaped(p.Version) + "?" + query
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

// Listed are packages and programs as an SBOM has to list them. What was compiled
// for the image is supplied by the owner of the repository, owner/name; the
// programs of others by the owner of theirs, where they were released on GitHub.
// Call it on a record that Check passed.
func (r *Record) Listed(repository string) ([]sbom.Package, error) {
	d, err := r.Distribution()
	if err != nil {
		return nil, err
	}
	out := make([]sbom.Package, 0, len(r.Packages))
	for _, p := range r.Packages {
		out = append(out, sbom.Package{Name: p.Name, Version: p.Version, URL: d.URL(p), Supplier: d.Name})
	}
	for _, b := range r.Binaries {
		out = append(out, b.listed(repository))
	}
	return out, nil
}

func (b Binary) listed(repository string) sbom.Package {
	out := sbom.Package{Name: b.Name, Version: b.Version, Supplier: sbom.Owner(repository), SHA256: b.SHA256,
		URL: "pkg:generic/" + escaped(b.Name) + "@" + escaped(b.Version)}
	from, err := url.Parse(b.Source)
	if err != nil || from.Scheme != "https" {
		return out
	}
	out.From, out.Supplier, out.URL = b.Source, "", out.URL+"?download_url="+escaped(b.Source)
	if by := sbom.Owner(strings.TrimPrefix(from.Path, "/")); from.Host == "github.com" && titleForm.MatchString(by) {
		out.Supplier = by
	}
	return out
}

// escaped is a text in a package URL.
func escaped(text string) string { return strings.ReplaceAll(url.QueryEscape(text), "+", "%20") }
