// Package apt reads which archive the machine's own distribution is installed
// from, out of /etc/apt and /etc/os-release.
//
// Its promise: what it returns names the distribution's release, updates and
// security suites only, each verified by the distribution's own keyring; an
// archive of somebody else never gets in, and no host is known here.
package apt

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/assignment"
)

// Distribution is the machine's own.
type Distribution struct {
	ID       string // "debian" or "ubuntu"
	Name     string // for a person: "Debian GNU/Linux 12 (bookworm)"
	Codename string // "bookworm"
	Sources  []Source
}

// Source is one stanza of sources.list(5) in the deb822 format.
type Source struct {
	Types, URIs, Suites, Components []string
	SignedBy                        string
	disabled, trusted               bool
}

// maxFileSize bounds each file that is read.
const maxFileSize = 1 << 20

// Read looks at the machine whose root file system is root.
func Read(root fs.FS) (*Distribution, error) {
	d, err := release(root)
	if err != nil {
		return nil, err
	}
	all, err := sources(root)
	if err != nil {
		return nil, err
	}
	keyring, err := d.keyring(root)
	if err != nil {
		return nil, err
	}
	for _, s := range all {
		if own, ok := d.own(s, keyring); ok {
			d.Sources = append(d.Sources, own)
		}
	}
	if !slices.ContainsFunc(d.Sources, func(s Source) bool { return slices.Contains(s.Suites, d.Codename) }) {
		return nil, fmt.Errorf("/etc/apt names no archive of %s with the suite %s", d.Name, d.Codename)
	}
	return d, nil
}

// release reads os-release.
func release(root fs.FS) (*Distribution, error) {
	text, err := read(root, "etc/os-release")
	if errors.Is(err, fs.ErrNotExist) {
		text, err = read(root, "usr/lib/os-release")
	}
	if err != nil {
		return nil, err
	}
	var v assignment.Variables
	if err := v.Parse(text); err != nil {
		return nil, fmt.Errorf("/etc/os-release: %w", err)
	}
	d := &Distribution{}
	for name, to := range map[string]*string{"ID": &d.ID, "PRETTY_NAME": &d.Name, "VERSION_CODENAME": &d.Codename} {
		if *to, err = v.Get(name); err != nil {
			return nil, fmt.Errorf("/etc/os-release: %w", err)
		}
	}
	if d.ID != "debian" && d.ID != "ubuntu" || d.Codename == "" {
		return nil, fmt.Errorf("this machine is %q, neither a release of Debian nor of Ubuntu", cmp.Or(d.Name, d.ID))
	}
	return d, nil
}

// sources reads every list, in the order in which apt does.
func sources(root fs.FS) ([]Source, error) {
	names := []string{"etc/apt/sources.list"}
	more, err := fs.Glob(root, "etc/apt/sources.list.d/*")
	if err != nil {
		return nil, err
	}
	var out []Source
	for _, name := range append(names, more...) {
		parse := map[string]func([]byte) ([]Source, error){".list": Lines, ".sources": Stanzas}[path.Ext(name)]
		if parse == nil {
			continue // apt ignores it too
		}
		text, err := read(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		found, err := parse(text)
		if err != nil {
			return nil, fmt.Errorf("/%s: %w", name, err)
		}
		out = append(out, found...)
	}
	return out, nil
}

func read(root fs.FS, name string) ([]byte, error) {
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // read-only handle
	text, err := io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err == nil && len(text) > maxFileSize {
		err = fmt.Errorf("/%s: more than %d bytes", name, maxFileSize)
	}
	return text, err
}

// Text is the sources in the deb822 format.
func (d *Distribution) Text() string {
	var b strings.Builder
	for _, s := range d.Sources {
		fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n\n",
			strings.Join(s.URIs, " "), strings.Join(s.Suites, " "), strings.Join(s.Components, " "), s.SignedBy)
	}
	return b.String()
}
