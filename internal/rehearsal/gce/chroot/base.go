package chroot

import (
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

//go:embed base.sh
var baseScript string

// Base is the image that stands for the cloud's: Ubuntu 26.04 with its kernel for
// Compute Engine, made by mmdebstrap from where this machine's apt can get it.
type Base struct {
	Tar         string // an image file, as Unpack reads it
	Description string // what it is, for a person
	ID          string // the SHA-256 of the file, 64 hex digits
}

// MakeBase makes the base, or finds it in mero-tee/machines of the user's cache.
// When it has to be made, log gets one line; when another process makes it, too.
func MakeBase(ctx context.Context, log func(string)) (*Base, error) {
	r, err := newRunner(ctx, program{"mmdebstrap", "mmdebstrap"}, program{"apt-config", "apt"}, program{"apt-get", "apt"},
		program{"dpkg-deb", "dpkg"})
	if err != nil {
		return nil, err
	}
	b, err := makeBase(ctx, r, log)
	if err != nil {
		return nil, &fault.Error{Code: fault.General, Message: "the base image of the rehearsal's VMs", Err: err,
			Hint: "mmdebstrap installs " + baseName + ": run `apt-get update`; where no mirror of this machine has it, " +
				"give apt a source of Ubuntu (a file in /etc/apt/sources.list.d, with suite " + baseCodename +
				", main and universe) and install " + keyringPackage}
	}
	return b, nil
}

func makeBase(ctx context.Context, r *runner, log func(string)) (*Base, error) {
	recipe, err := newRecipe(ctx, r)
	if err != nil {
		return nil, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(cache, "mero-tee", "machines", recipe.key())
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	unlock, err := file.Lock(ctx, dir, func() { log("waiting for " + recipe.description() + ", which is being made") })
	if err != nil {
		return nil, err
	}
	defer unlock()
	b := &Base{Tar: filepath.Join(dir, "base.tar"), Description: recipe.description()}
	if b.find() {
		return b, nil
	}
	log("making " + recipe.description() + "; this takes two to three minutes, once")
	return b, recipe.make(ctx, r, b)
}

// find reads the id, which is written last.
func (b *Base) find() bool {
	id, err := os.ReadFile(b.Tar + ".sha256")
	if err != nil || len(id) != 2*sha256.Size {
		return false
	}
	b.ID = string(id)
	_, err = os.Stat(b.Tar)
	return err == nil
}

// store gives the finished file its name, on the disk, and then its id.
func (b *Base) store(made string) error {
	f, err := os.Open(made)
	if err != nil {
		return err
	}
	defer f.Close()
	sum, _, err := digest.OfReader(f)
	if err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Rename(made, b.Tar); err != nil {
		return err
	}
	b.ID = sum.Hex()
	return file.Write(b.Tar+".sha256", []byte(b.ID), 0o644)
}

// recipe is everything that goes into a base.
type recipe struct {
	distribution *distribution
	options      []string // of apt
	month        time.Time
}

// packages are what a cloud image has and Ansible needs, and what role base
// would install there: with the latter here, no build asks the archive.
func packages() []string {
	return []string{"apt", "ca-certificates", "cloud-init", "curl", "dbus", "google-compute-engine",
		"google-guest-agent", "iproute2", "kmod", "linux-image-gcp", "netplan.io", "openssh-server", "procps",
		"python3", "python3-apt", "sudo", "systemd-resolved", "systemd-sysv", "udev",
		"binutils", "cryptsetup-bin", "dmsetup", "dosfstools", "dracut", "fdisk", "mtools", "squashfs-tools",
		"systemd-boot-efi", "systemd-cryptsetup", "zstd"}
}

// leftOut is what no VM of the rehearsal looks at, and no image has: a base is
// unpacked for every build, file by file.
func leftOut() []string {
	out := []string{"/usr/share/doc/*", "/usr/share/info/*", "/usr/share/locale/*", "/usr/share/man/*",
		"/usr/share/lintian/*", "/usr/share/bash-completion/*", "/boot/System.map-*"}
	for _, modules := range []string{"sound", "drivers/gpu", "drivers/hwmon", "drivers/iio", "drivers/infiniband",
		"drivers/input", "drivers/media", "drivers/mtd", "drivers/net/wireless", "drivers/staging",
		"drivers/video"} {
		out = append(out, "/usr/lib/modules/*/kernel/"+modules+"/*", "/lib/modules/*/kernel/"+modules+"/*")
	}
	return out
}

// newRecipe reads this machine's own apt configuration. A base is made anew
// each month: the digest of the archive's InRelease would make one for each
// security update, and ask the network before each rehearsal.
func newRecipe(ctx context.Context, r *runner) (*recipe, error) {
	d, err := readDistribution(ctx, r, "/")
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
	wanted := []string{"Acquire::http::Proxy", "Acquire::https::Proxy", "Acquire::Check-Valid-Until",
		"Acquire::Check-Date"}
	var out []string
	for line := range strings.Lines(dump.String()) {
		name, value, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(line), ";"), " ")
		if slices.Contains(wanted, name) && value != `""` {
			out = append(out, name+" "+value)
		}
	}
	return out, nil
}

// make runs mmdebstrap in namespaces of its own, so that a kill leaves none of
// its processes and mounts; the next one removes its folder.
func (r *recipe) make(ctx context.Context, run *runner, b *Base) (err error) {
	work := filepath.Join(filepath.Dir(b.Tar), "partial")
	if err := run.remove(ctx, work); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o755); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, run.remove(context.WithoutCancel(ctx), work)) }()
	text, err := (&apt{run, filepath.Join(work, "apt")}).find(ctx, r.distribution)
	if err != nil {
		return err
	}
	sources := filepath.Join(work, baseCodename+".sources")
	if err := file.Write(sources, []byte(text), 0o644); err != nil {
		return err
	}
	made := filepath.Join(work, "base.tar")
	// Kernel packages make no initrd: the seal makes the one that counts.
	args := []string{"env", "INITRD=No", "TMPDIR=" + work, fmt.Sprintf("SOURCE_DATE_EPOCH=%d", r.month.Unix())}
	if err := run.fenced(ctx, append(args, r.arguments(sources, made)...)...); err != nil {
		return err
	}
	return b.store(made)
}

// arguments of mmdebstrap, for which sources is a file with the archive's stanzas.
func (r *recipe) arguments(sources, tar string) []string {
	out := []string{"mmdebstrap", "--mode=root", "--variant=minbase", "--format=tar",
		"--include=" + strings.Join(packages(), ",")}
	for _, o := range r.options {
		out = append(out, "--aptopt="+o)
	}
	for _, pattern := range leftOut() {
		out = append(out, "--dpkgopt=path-exclude="+pattern)
	}
	for _, file := range r.distribution.mirrorFiles() {
		hook := fmt.Sprintf("mkdir -p %[2]s && cp %[1]s %[2]s", quote(file), `"$1"`+quote(path.Dir(file)))
		out = append(out, "--setup-hook="+hook)
	}
	return append(out, "--customize-hook=sh -c "+quote(baseScript)+` sh "$1"`, baseCodename, tar, sources)
}

// key names the base: the same key, the same base.
func (r *recipe) key() string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %s", runtime.GOARCH, r.arguments("", ""), r.distribution.mirrors(), r.month)
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// description is for a person who asks what the base is.
func (r *recipe) description() string {
	return fmt.Sprintf("%s (%s), made by mmdebstrap on this machine (%s), %s",
		baseName, baseCodename, r.distribution.name, r.month.Format("January 2006"))
}

// quote makes a word that a shell reads as it is.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }
