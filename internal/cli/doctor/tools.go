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
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/release"
)

// program is one that a release, or its development, starts on this machine.
type program struct {
	name    string
	version string               // the argument that makes it say its version; none has an effect
	pkg     string               // Debian's package; "" for Go, whose Debian package is too old
	needed  func(t *target) bool // what is asked for fails without it; nil: `mage lint` or node:boot skips what it does
}

// skips is the target that goes on without a program that is not needed.
func (p program) skips() string {
	if strings.HasSuffix(p.name, "lint") {
		return "`mage lint` skips what it does"
	}
	return "`node:boot` is skipped"
}

func programs() []program {
	always := func(*target) bool { return true }
	builds := func(t *target) bool { return t.releases(release.Node) && t.performs("node:build") }
	boots := func(t *target) bool { return builds(t) && t.rehearsed() } // VMs, on this machine
	isolates := func(t *target) bool { return boots(t) && os.Geteuid() != 0 }
	return []program{
		{"go", "version", "", always},
		{"git", "--version", "git", always},
		{"ansible-playbook", "--version", "ansible-core", builds},
		{"ssh", "-V", "openssh-client", builds},
		{"mmdebstrap", "--version", "mmdebstrap", boots},
		{"tar", "--version", "tar", boots},
		{"unshare", "--version", "util-linux", boots},
		{"veritysetup", "--version", "cryptsetup-bin", boots},
		{"unsquashfs", "-version", "squashfs-tools", boots},
		{"mksquashfs", "-version", "squashfs-tools", boots},
		{"newuidmap", "", "uidmap", isolates},
		{"qemu-system-x86_64", "--version", "ovmf qemu-system-x86", nil},
		{"swtpm", "--version", "swtpm", nil},
		{"swtpm_setup", "--version", "swtpm-tools", nil},
		{"ansible-lint", "--version", "ansible-lint", nil},
		{"yamllint", "--version", "yamllint", nil},
	}
}

// tools looks on the PATH, and where Debian keeps an administrator's programs, as the rehearsal's VMs do.
func tools(ctx context.Context, t *target) check.Results {
	return inspect(ctx, t, append(filepath.SplitList(os.Getenv("PATH")), "/usr/local/sbin", "/usr/sbin", "/sbin"))
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
	source := "Debian: " + p.pkg
	if p.pkg == "" {
		source = "https://go.dev/dl"
	}
	found := p.find(path)
	switch {
	case found != "":
		return check.Pass(strings.TrimSpace(p.name + " " + p.versionOf(ctx, found)))
	case p.needed == nil:
		return remark(p.name, "not installed (%s); %s", source, p.skips())
	case p.needed(t):
		return fail(p.name, "not installed ("+source+")", "", "", "")
	}
	return check.NotApplicable(p.name, "not installed, and not needed for this")
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
	home, remove, err := file.Temp("home") // some write into theirs before they say it
	if err != nil {
		return ""
	}
	defer remove()
	// No folder can be there: go counts in it what it is asked for, in a process that outlives it, and that made the
	// home again (8 of them lay about, 2026-11-27).
	nowhere := os.DevNull
	cmd.Dir, cmd.Env = home, append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "XDG_CONFIG_HOME="+nowhere,
		"LC_ALL=C.UTF-8", "NO_COLOR=1", "TERM=dumb", "ANSIBLE_NOCOLOR=1")
	cmd.WaitDelay = grace
	said, _ := cmd.CombinedOutput() // squashfs-tools end with 1 after saying it
	return versionForm.FindString(string(said))
}
