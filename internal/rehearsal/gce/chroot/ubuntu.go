package chroot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// The base is of the release that packer/base.pkrvars.hcl pins.
const (
	baseName     = "Ubuntu 26.04"
	baseCodename = "resolute"
)

// Debian packages Ubuntu's keyring since trixie; machines with an older Debian
// take the package from there, since it is keys alone.
const (
	keyringPackage = "ubuntu-keyring"
	keyringSuite   = "trixie"
	ubuntuKeyring  = "/usr/share/keyrings/ubuntu-archive-keyring.gpg"
	debianKeyring  = "/usr/share/keyrings/debian-archive-keyring.gpg"
)

// apt is a private one, with a folder of its own: the machine's lists and
// packages stay as they are. How the machine reaches its mirrors holds here too.
type apt struct {
	runner *runner
	dir    string
}

// command is apt-get with these sources and nothing else.
func (a *apt) command(sources string, args ...string) []string {
	out := []string{"apt-get", "-o", "Dir::Etc::SourceList=" + sources, "-o", "Dir::Etc::SourceParts=-",
		"-o", "Dir::State::Lists=" + filepath.Join(a.dir, "lists"), "-o", "Dir::State::Status=/dev/null",
		"-o", "Dir::Cache=" + filepath.Join(a.dir, "cache"), "-o", "APT::Sandbox::User=root",
		"-o", "APT::Update::Error-Mode=any", "-o", "APT::Update::Post-Invoke-Success::=true"}
	return append(out, args...)
}

// update downloads and verifies what sources list.
func (a *apt) update(ctx context.Context, name, sources string) (string, error) {
	list := filepath.Join(a.dir, name+".sources")
	for _, folder := range []string{"lists/partial", "cache/archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.dir, folder), 0o755); err != nil {
			return "", err
		}
	}
	if err := file.Write(list, []byte(sources), 0o644); err != nil {
		return "", err
	}
	return list, a.runner.run(ctx, a.command(list, "update", "--quiet=2")...)
}

// keyring finds Ubuntu's, or fetches Debian's package of it, which apt verifies
// by Debian's keyring.
func (a *apt) keyring(ctx context.Context, d *distribution) (string, error) {
	if _, err := os.Stat(ubuntuKeyring); err == nil {
		return ubuntuKeyring, nil
	}
	if d.id != "debian" {
		return "", fmt.Errorf("no keyring %s", ubuntuKeyring)
	}
	at := slices.IndexFunc(d.archives, func(a archive) bool { return a.suite == d.codename })
	list, err := a.update(ctx, "keyring", stanza(d.archives[at].uri, keyringSuite, debianKeyring, "main"))
	if err != nil {
		return "", err
	}
	unpacked := filepath.Join(a.dir, "keyring")
	if err := os.MkdirAll(unpacked, 0o755); err != nil {
		return "", err
	}
	script := `cd "$1"; shift; "$@"; for package in ./*.deb; do dpkg-deb --extract "$package" .; done`
	args := append([]string{"sh", "-euc", script, "sh", unpacked}, a.command(list, "--quiet=2", "download",
		keyringPackage, "ubuntu-archive-keyring")...)
	if err := a.runner.run(ctx, args...); err != nil {
		return "", err
	}
	return filepath.Join(unpacked, ubuntuKeyring), nil
}

// find asks each mirror for the base's release, through apt, and returns the
// sources of the first that has it.
func (a *apt) find(ctx context.Context, d *distribution) (string, error) {
	mirrors := d.mirrors()
	if len(mirrors) == 0 {
		return "", fmt.Errorf("apt (of %s) has no source of Ubuntu, nor a mirror of Debian beside which it may be",
			d.name)
	}
	keyring, err := a.keyring(ctx, d)
	if err != nil {
		return "", fmt.Errorf("the keyring of Ubuntu's archive: %w", err)
	}
	var refused error
	for _, m := range mirrors {
		sources := m.sources(baseCodename, keyring, "main", "universe")
		_, err := a.update(ctx, "ubuntu", stanza(m.archive, baseCodename, keyring, "main"))
		if err == nil {
			return sources, nil
		}
		refused = errors.Join(refused, err)
	}
	return "", fmt.Errorf("no mirror of this machine has %s: %w", baseName, refused)
}
