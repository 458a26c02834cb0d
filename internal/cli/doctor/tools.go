package doctor

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/release"
)

// program is one that a release, or its development, starts on this machine.
type program struct {
	name    string
	version string // the argument that makes it say its version; none has an effect
	pkg     string // Debian's package; "" for Go, whose Debian package is too old
	use     use
}

// use is who fails without the program.
type use int

const (
	everyone  use = iota // a release of either family
	images               // a build of node images
	machines             // the VMs of a rehearsal
	isolation            // the same, as anybody but root
	linting              // `mage lint`, which goes on without
)

func programs() []program {
	return []program{
		{"go", "version", "", everyone},
		{"git", "--version", "git", everyone},
		{"ansible-playbook", "--version", "ansible-core", images},
		{"ssh", "-V", "openssh-client", images},
		{"mmdebstrap", "--version", "mmdebstrap", machines},
		{"tar", "--version", "tar", machines},
		{"unshare", "--version", "util-linux", machines},
		{"veritysetup", "--version", "cryptsetup-bin", machines},
		{"unsquashfs", "-version", "squashfs-tools", machines},
		{"mksquashfs", "-version", "squashfs-tools", machines},
		{"newuidmap", "", "uidmap", isolation},
		{"ansible-lint", "--version", "ansible-lint", linting},
		{"yamllint", "--version", "yamllint", linting},
	}
}

// needed says whether what is asked for fails without the program.
func (t *target) needed(u use) bool {
	switch u {
	case everyone:
		return true
	case images:
		return t.releases(release.Node)
	case machines:
		return t.releases(release.Node) && t.rehearsed()
	case isolation:
		return t.releases(release.Node) && t.rehearsed() && os.Geteuid() != 0
	}
	return false
}

func tools(ctx context.Context, t *target) check.Results {
	return inspect(ctx, t, searchPath(os.Getenv("PATH")))
}

// searchPath adds where Debian keeps an administrator's programs, as the rehearsal's VMs do.
func searchPath(path string) []string {
	return append(filepath.SplitList(path), "/usr/local/sbin", "/usr/sbin", "/sbin")
}

func inspect(ctx context.Context, t *target, path []string) check.Results {
	all := programs()
	out := make(check.Results, len(all))
	var wait sync.WaitGroup
	for i, one := range all {
		wait.Go(func() { out[i] = one.inspect(ctx, t, path) })
	}
	wait.Wait()
	return install(all, out)
}

// install names everything that is missing in one line, below the last of it.
func install(all []program, results check.Results) check.Results {
	var packages []string
	last := -1
	for i, r := range results {
		if r.Reason != "" && r.Status != check.Inapplicable && all[i].pkg != "" {
			packages, last = append(packages, all[i].pkg), i
		}
	}
	slices.Sort(packages)
	if last >= 0 {
		results[last] = results[last].WithHint("apt-get install " + strings.Join(slices.Compact(packages), " "))
	}
	return results
}

func (p program) inspect(ctx context.Context, t *target, path []string) check.Result {
	found := p.find(path)
	switch {
	case found != "":
		return check.Pass(strings.TrimSpace(p.name + " " + p.versionOf(ctx, found)))
	case t.needed(p.use):
		return fail(p.name, "not installed ("+p.source()+")", "", "", "")
	case p.use == linting:
		return remark(p.name, "not installed (%s); `mage lint` skips what it does", p.source())
	}
	return check.NotApplicable(p.name, "not installed, and not needed for this")
}

func (p program) source() string {
	if p.pkg == "" {
		return "https://go.dev/dl"
	}
	return "Debian: " + p.pkg
}

func (p program) find(path []string) string {
	for _, dir := range path {
		name := filepath.Join(dir, p.name)
		info, err := os.Stat(name)
		if filepath.IsAbs(dir) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return name
		}
	}
	return ""
}

var versionForm = regexp.MustCompile(`\d+(?:\.\d+)+(?:p\d+)?`)

// versionOf is for people; a program that does not say is one all the same.
func (p program) versionOf(ctx context.Context, path string) string {
	if p.version == "" {
		return ""
	}
	cmd := exec.CommandContext(ctx, path, p.version)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "NO_COLOR=1", "TERM=dumb", "ANSIBLE_NOCOLOR=1")
	cmd.WaitDelay = grace
	said, _ := cmd.CombinedOutput() // squashfs-tools end with 1 after saying it
	return versionForm.FindString(string(said))
}
