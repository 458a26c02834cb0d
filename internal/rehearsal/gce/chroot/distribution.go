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

	"github.com/calimero-network/mero-tee/internal/base/osrelease"
)

// distribution is the machine's own, Debian or Ubuntu, and where apt gets it from.
type distribution struct {
	id       string // "debian" or "ubuntu"
	name     string // for a person: "Debian GNU/Linux 12 (bookworm)"
	codename string // "bookworm"
	archives []archive
	ubuntu   []archive // what apt has of Ubuntu, of whatever release
}

// archive is one component of a suite on a mirror.
type archive struct{ uri, suite, component string }

// readDistribution looks at the machine whose root file system is root.
func readDistribution(ctx context.Context, r *runner, root string) (*distribution, error) {
	d, err := readRelease(root)
	if err != nil {
		return nil, err
	}
	origin := map[string]string{"debian": "Debian", "ubuntu": "Ubuntu"}[d.id]
	if d.archives, err = d.targets(ctx, r, root, origin); err != nil {
		return nil, err
	}
	own := func(a archive) bool { return !slices.Contains(suites(d.codename), a.suite) }
	if d.ubuntu, err = d.targets(ctx, r, root, "Ubuntu"); err != nil {
		return nil, err
	}
	d.archives = slices.DeleteFunc(d.archives, own)
	if !slices.ContainsFunc(d.archives, func(a archive) bool { return a.suite == d.codename }) {
		return nil, fmt.Errorf("apt has downloaded nothing of %s, suite %s", d.name, d.codename)
	}
	return d, nil
}

// suites are those of a release that a machine of it is made of.
func suites(codename string) []string {
	return []string{codename, codename + "-updates", codename + "-security"}
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
	v, err := osrelease.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("/etc/os-release: %w", err)
	}
	d := &distribution{id: v["ID"], name: v["PRETTY_NAME"], codename: v["VERSION_CODENAME"]}
	if d.id != "debian" && d.id != "ubuntu" || d.codename == "" {
		return nil, fmt.Errorf("this machine is %q, neither a release of Debian nor of Ubuntu", cmp.Or(d.name, d.id))
	}
	return d, nil
}

// targets asks apt for what it has downloaded and verified of an origin. Who
// else calls his archive by its name is refused later: there, the
// distribution's own keyring is named for each.
func (d *distribution) targets(ctx context.Context, r *runner, root, origin string) ([]archive, error) {
	var answer strings.Builder
	err := r.stream(ctx, &answer, "apt-get", "indextargets", "-o", "Dir="+root,
		"--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)",
		"Created-By: Packages", "Target-Of: deb", "Trusted: yes", "Origin: "+origin)
	if err != nil {
		return nil, err
	}
	var out []archive
	for line := range strings.Lines(answer.String()) {
		words := strings.Fields(line)
		if len(words) != 3 {
			continue
		}
		a := archive{uri: strings.TrimSuffix(words[0], "/"), suite: words[1], component: words[2]}
		if !slices.Contains(out, a) { // there is a target for each architecture
			out = append(out, a)
		}
	}
	return out, nil
}

// mirrors are where Ubuntu's archive may be, the likeliest first: where apt gets
// Ubuntu from already, else in the folder beside each of the machine's mirrors of Debian.
func (d *distribution) mirrors() []mirror {
	from := d.archives
	if d.id == "debian" {
		from = d.ubuntu
	}
	if len(from) > 0 {
		m := mirror{archive: from[0].uri, security: from[0].uri}
		for _, a := range from {
			if strings.HasSuffix(a.suite, "-security") {
				m.security = a.uri
			} else if !strings.Contains(a.suite, "-") {
				m.archive = a.uri
			}
		}
		return []mirror{m}
	}
	var out []mirror
	for _, a := range d.archives {
		beside, ok := strings.CutSuffix(a.uri, "/debian")
		if m := (mirror{beside + "/ubuntu", beside + "/ubuntu"}); ok && !slices.Contains(out, m) {
			out = append(out, m)
		}
	}
	return out
}

// mirror is where a release's suites are: its security updates may be elsewhere.
type mirror struct{ archive, security string }

// sources are the mirror's suites of a release in the deb822 format of sources.list(5).
func (m mirror) sources(codename, keyring string, components ...string) string {
	var b strings.Builder
	for _, suite := range suites(codename) {
		uri := m.archive
		if strings.HasSuffix(suite, "-security") {
			uri = m.security
		}
		b.WriteString(stanza(uri, suite, keyring, components...))
	}
	return b.String()
}

func stanza(uri, suite, keyring string, components ...string) string {
	return fmt.Sprintf("Types: deb\nURIs: %s\nSuites: %s\nComponents: %s\nSigned-By: %s\n\n",
		uri, suite, strings.Join(components, " "), keyring)
}

// mirrorFiles are the files on this machine that list mirrors (apt-transport-mirror(1)).
func (d *distribution) mirrorFiles() []string {
	var out []string
	for _, m := range d.mirrors() {
		for _, uri := range []string{m.archive, m.security} {
			if file, ok := strings.CutPrefix(uri, "mirror+file:"); ok && !slices.Contains(out, file) {
				out = append(out, file)
			}
		}
	}
	return out
}
