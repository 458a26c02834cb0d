package chroot

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// distribution is the machine's own, Debian or Ubuntu, and where apt gets it from.
type distribution struct {
	id       string // "debian" or "ubuntu"
	name     string // for a person: "Debian GNU/Linux 12 (bookworm)"
	codename string // "bookworm"
	keyring  string // path of the distribution's own, as its package installs it
	archives []archive
}

// archive is one component of a suite on a mirror.
type archive struct{ uri, suite, component string }

// readDistribution looks at the machine whose root file system is root.
func readDistribution(ctx context.Context, r *runner, root string) (*distribution, error) {
	d, err := readRelease(root)
	if err != nil {
		return nil, err
	}
	for _, ending := range []string{".gpg", ".pgp"} {
		name := "/usr/share/keyrings/" + d.id + "-archive-keyring" + ending
		if _, err := os.Stat(filepath.Join(root, name)); err == nil {
			d.keyring = cmp.Or(d.keyring, name)
		}
	}
	if d.keyring == "" {
		return nil, fmt.Errorf("no keyring /usr/share/keyrings/%s-archive-keyring.gpg", d.id)
	}
	return d, d.readArchives(ctx, r, root)
}

// readRelease reads os-release(5).
func readRelease(root string) (*distribution, error) {
	text, err := os.ReadFile(filepath.Join(root, "etc/os-release"))
	if errors.Is(err, fs.ErrNotExist) {
		text, err = os.ReadFile(filepath.Join(root, "usr/lib/os-release"))
	}
	if err != nil {
		return nil, err
	}
	v, err := variables(nil).source(text)
	if err != nil {
		return nil, fmt.Errorf("/etc/os-release: %w", err)
	}
	d := &distribution{}
	for name, to := range map[string]*string{"ID": &d.id, "PRETTY_NAME": &d.name, "VERSION_CODENAME": &d.codename} {
		if *to, err = v.get(name); err != nil {
			return nil, fmt.Errorf("/etc/os-release: %w", err)
		}
	}
	if d.id != "debian" && d.id != "ubuntu" || d.codename == "" {
		return nil, fmt.Errorf("this machine is %q, neither a release of Debian nor of Ubuntu", cmp.Or(d.name, d.id))
	}
	return d, nil
}

// readArchives asks apt for the suites of the distribution's release that it
// has downloaded and verified. Who else calls his archive the distribution's is
// refused by apt later: text names the distribution's own keyring for each.
func (d *distribution) readArchives(ctx context.Context, r *runner, root string) error {
	origin := map[string]string{"debian": "Debian", "ubuntu": "Ubuntu"}[d.id]
	var targets strings.Builder
	err := r.stream(ctx, &targets, "apt-get", "indextargets", "-o", "Dir="+root,
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
		"Created-By: Packages", "Target-Of: deb", "Trusted: yes", "Origin: "+origin)
	if err != nil {
		return err
	}
	suites := []string{d.codename, d.codename + "-updates", d.codename + "-security"}
	for line := range strings.Lines(targets.String()) {
		words := strings.Fields(line)
		if len(words) != 3 || !slices.Contains(suites, words[1]) {
			continue
		}
		a := archive{uri: strings.TrimSuffix(words[0], "/"), suite: words[1], component: words[2]}
		if !slices.Contains(d.archives, a) { // there is a target for each architecture
			d.archives = append(d.archives, a)
		}
	}
	if !slices.ContainsFunc(d.archives, func(a archive) bool { return a.suite == d.codename }) {
		return fmt.Errorf("apt has downloaded nothing of %s, suite %s", d.name, d.codename)
	}
	return nil
}

// text is the archives in the deb822 format of sources.list(5).
func (d *distribution) text() string {
	var b strings.Builder
	for _, a := range d.archives {
		fmt.Fprintf(&b, "Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n\n",
			a.uri, a.suite, a.component, d.keyring)
	}
	return b.String()
}

// mirrorFiles are the files on this machine that list mirrors (apt-transport-mirror(1)).
func (d *distribution) mirrorFiles() []string {
	var out []string
	for _, a := range d.archives {
		if file, ok := strings.CutPrefix(a.uri, "mirror+file:"); ok && !slices.Contains(out, file) {
			out = append(out, file)
		}
	}
	return out
}
