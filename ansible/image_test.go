package ansible_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/release"
)

// image is a folder with what the judge of an image looks at, as a build leaves it.
type image struct {
	t        *testing.T
	root     string
	profile  release.Profile
	programs []string
}

// newImage lays the files of the profile's roles down, and stands in for what tasks and scripts do.
func newImage(t *testing.T, profile release.Profile) *image {
	t.Helper()
	p, err := packer.ReadProfile("..", profile)
	require.NoError(t, err)
	i := &image{t: t, root: t.TempDir(), profile: profile, programs: append([]string{"mero-agent"}, p.Companions...)}
	for _, role := range p.Roles {
		i.lay(filepath.Join("roles", role, "files", "root"))
	}
	for _, unit := range []string{"mero-measure.service", "mero-agent.service"} {
		i.template(unit)
	}
	for _, name := range i.programs {
		i.write("/usr/lib/mero/"+name, "program", 0o755)
	}
	i.write("/etc/machine-id", "", 0o444)
	i.kernel("7.0.0-1012-gcp")
	i.accounts()
	i.write("/usr/share/mero/manifest", "package\ta\t1\tall\n", 0o644)
	i.write("/etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet console=ttyS0\"\nGRUB_CMDLINE_LINUX=\"\"\n", 0o644)
	i.commandLine(i.freeze())
	return i
}

func (i *image) path(name string) string { return filepath.Join(i.root, name) }

func (i *image) write(name, content string, mode os.FileMode) {
	i.t.Helper()
	require.NoError(i.t, os.MkdirAll(filepath.Dir(i.path(name)), 0o755))
	_ = os.Remove(i.path(name)) // a link would be followed
	require.NoError(i.t, os.WriteFile(i.path(name), []byte(content), mode))
}

func (i *image) read(name string) string {
	i.t.Helper()
	content, err := os.ReadFile(i.path(name))
	require.NoError(i.t, err)
	return string(content)
}

// edit replaces text that must be there.
func (i *image) edit(name, from, to string) {
	i.t.Helper()
	text := i.read(name)
	require.Contains(i.t, text, from)
	i.write(name, strings.Replace(text, from, to, 1), 0o644)
}

func (i *image) remove(name string) {
	i.t.Helper()
	require.NoError(i.t, os.RemoveAll(i.path(name)))
}

func (i *image) lay(tree string) {
	i.t.Helper()
	if _, err := os.Stat(tree); err != nil {
		return
	}
	require.NoError(i.t, filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		name, relative := filepath.Rel(tree, path)
		if err != nil || relative != nil || d.IsDir() {
			return err
		}
		if d.Type()&fs.ModeSymlink == 0 {
			content, err := os.ReadFile(path)
			require.NoError(i.t, err)
			info, err := d.Info()
			i.write("/"+name, string(content), info.Mode().Perm())
			return err
		}
		target, err := os.Readlink(path)
		require.NoError(i.t, err)
		require.NoError(i.t, os.MkdirAll(filepath.Dir(i.path(name)), 0o755))
		return os.Symlink(target, i.path(name))
	}))
}

var expression = regexp.MustCompile(`\{\{.*?\}\}`)

func (i *image) template(unit string) {
	content, err := os.ReadFile(filepath.Join("roles/agent/templates", unit+".j2"))
	require.NoError(i.t, err)
	text := strings.ReplaceAll(string(content), "{{ image_profile }}", string(i.profile))
	i.write("/etc/systemd/system/"+unit, expression.ReplaceAllString(text, ""), 0o644)
}

// kernel installs what is judged of one.
func (i *image) kernel(version string) {
	i.write("/boot/vmlinuz-"+version, "kernel", 0o600)
	i.write("/boot/config-"+version,
		"CONFIG_INTEL_TDX_GUEST=y\nCONFIG_TDX_GUEST_DRIVER=m\nCONFIG_TSM_MEASUREMENTS=y\n", 0o644)
	i.write(guestModule(version), "module", 0o644)
}

func guestModule(version string) string {
	return "/lib/modules/" + version + "/kernel/drivers/virt/coco/tdx-guest/tdx-guest.ko.zst"
}

func (i *image) accounts() {
	if i.profile == release.LockedReadOnly {
		i.write("/etc/passwd", "root:x:0:0:root:/root:/usr/sbin/nologin\nnobody:x:65534:65534::/:/usr/sbin/nologin\n", 0o644)
		i.write("/etc/shadow", "root:*::0:99999:7:::\nnobody:*::0:99999:7:::\n", 0o640)
		require.NoError(i.t, os.MkdirAll(i.path("home"), 0o755))
		return
	}
	i.write("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\ndebug:x:1500:1500::/home/debug:/bin/bash\n", 0o644)
	i.write("/etc/shadow", "root:*::0:99999:7:::\ndebug:*::0:99999:7:::\n", 0o640)
	require.NoError(i.t, os.MkdirAll(i.path("home/debug"), 0o755))
	i.write("/usr/sbin/sshd", "sshd", 0o755)
}

// freeze makes a small root.img and returns what the command line says of it.
func (i *image) freeze() string {
	i.t.Helper()
	if i.profile == release.Debug {
		return ""
	}
	source := i.t.TempDir()
	file := i.path("boot/mero/root.img")
	require.NoError(i.t, os.MkdirAll(filepath.Dir(file), 0o755))
	i.run("mksquashfs", source, file, "-quiet", "-no-progress")
	info, err := os.Stat(file)
	require.NoError(i.t, err)
	hash := filepath.Join(source, "hash")
	i.run("veritysetup", "format", file, file, fmt.Sprintf("--hash-offset=%d", info.Size()),
		fmt.Sprintf("--data-blocks=%d", info.Size()/4096), "--root-hash-file="+hash)
	text, err := os.ReadFile(hash)
	require.NoError(i.t, err)
	return fmt.Sprintf(" mero.rootfs=squashfs mero.roothash=%s mero.hashoffset=%d", text, info.Size())
}

func (i *image) run(name string, args ...string) {
	i.t.Helper()
	out, err := exec.Command(tool(i.t, name), args...).CombinedOutput()
	require.NoError(i.t, err, string(out))
}

// tool finds a program also where only root's PATH leads.
func tool(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name, "/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return path
		}
	}
	t.Skipf("%s is not installed", name)
	return ""
}

func (i *image) commandLine(verity string) {
	sum := sha256.Sum256([]byte(i.read("/usr/share/mero/manifest")))
	i.write("/etc/default/grub.d/90-mero.cfg",
		fmt.Sprintf("GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX mero.profile=%s mero.content=%x%s\"\n", i.profile, sum, verity),
		0o644)
}

// judge runs the conformance step and returns what it says.
func (i *image) judge() (string, error) {
	i.t.Helper()
	cmd := exec.Command(tool(i.t, "python3"), "-IB", "roles/conformance/files/root/run/mero/steps/50-conformance")
	cmd.Env = []string{"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "MERO_ROOT=" + i.root, "MERO_BOOT=" + i.path("boot"),
		"MERO_PROFILE=" + string(i.profile), "MERO_PROGRAMS=" + strings.Join(i.programs, " ")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
