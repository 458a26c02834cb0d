package chroot

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/apt"
)

//go:embed base.sh
var baseScript string

// recipe is everything that goes into a base.
type recipe struct {
	distribution *apt.Distribution
	options      []string // of apt
	month        time.Time
}

// packages are what a cloud image has and Ansible needs.
func packages() []string {
	return []string{"apt", "ca-certificates", "cryptsetup-bin", "curl", "dbus", "grub2-common", "initramfs-tools", "iproute2", "kmod",
		"openssh-server", "procps", "python3", "python3-apt", "squashfs-tools", "sudo", "systemd-sysv", "udev"}
}

// newRecipe reads this machine's own apt configuration. A base is made anew
// each month: the digest of the archive's InRelease would make one for each
// security update, and ask the network before each rehearsal.
func newRecipe(ctx context.Context, r *runner) (*recipe, error) {
	d, err := apt.Read(os.DirFS("/"))
	if err != nil {
		return nil, err
	}
	options, err := aptOptions(ctx, r)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	return &recipe{d, options, time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)}, nil
}

// aptOptions are those of this machine without which its mirror may be out of reach.
func aptOptions(ctx context.Context, r *runner) ([]string, error) {
	var dump strings.Builder
	if err := r.stream(ctx, &dump, "apt-config", "dump"); err != nil {
		return nil, err
	}
	wanted := []string{"Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until", "Acquire::Check-Date"}
	var out []string
	for line := range strings.Lines(dump.String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ";"), " ")
		if slices.Contains(wanted, name) && value != `""` {
			out = append(out, name+" "+value)
		}
	}
	return out, nil
}

// arguments of mmdebstrap, for which sources is a file with the archive's stanzas.
func (r *recipe) arguments(sources, tar string) []string {
	out := []string{"mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar",
		"--include=" + strings.Join(packages(), ",")}
	for _, o := range r.options {
		out = append(out, "--aptopt="+o)
	}
	for _, file := range r.distribution.MirrorFiles() {
		out = append(out, fmt.Sprintf("--setup-hook=mkdir -p %[2]s && cp %[1]s %[2]s", quote(file), `"$1"`+quote(path.Dir(file))))
	}
	return append(out, "--customize-hook=sh -c "+quote(baseScript)+` sh "$1"`, r.distribution.Codename, tar, sources)
}

// key names the base: the same key, the same base.
func (r *recipe) key() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %s", runtime.GOARCH, r.arguments("", ""), r.distribution.Text(), r.month)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// description is for a person who asks what the base is.
func (r *recipe) description() string {
	return fmt.Sprintf("%s, made by mmdebstrap on this machine from its own archive, %s", r.distribution.Name, r.month.Format("January 2006"))
}

// quote makes a word that a shell reads as it is.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
