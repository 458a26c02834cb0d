package ansible_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

	line   string            // the kernel's command line
	stub   string            // the code of the loader
	initrd map[string]string // what is in it: "" for a file, or where a link leads
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
	i.kernel(kernelVersion)
	i.accounts()
	i.write("/usr/share/mero/manifest", "package\ta\t1\tall\ta\t1\n", 0o644)
	i.link("/etc/resolv.conf", "../run/systemd/resolve/stub-resolv.conf")
	i.write("/usr/lib/os-release", "ID=ubuntu\n", 0o644)
	for _, unit := range []string{"apt-daily.timer", "cloud-init-hotplugd.socket", "google-guest-agent.service"} {
		i.write("/usr/lib/systemd/system/"+unit, "", 0o644)
		i.link("/etc/systemd/system/"+unit, "/dev/null")
	}
	i.write("/usr/lib/systemd/system/systemd-logind.service", "", 0o644)
	i.write("/usr/lib/systemd/system-generators/systemd-run-generator", "", 0o755)
	i.link("/etc/systemd/system-generators/systemd-run-generator", "/dev/null")
	i.parts()
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

func (i *image) link(name, target string) {
	i.t.Helper()
	require.NoError(i.t, os.MkdirAll(filepath.Dir(i.path(name)), 0o755))
	_ = os.Remove(i.path(name))
	require.NoError(i.t, os.Symlink(target, i.path(name)))
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

const kernelVersion = "7.0.0-1012-gcp"

// rootHash stands for the one of the tree, which mero-predict compares with the disk.
var rootHash = strings.Repeat("ab", 32)

// added is what the command line of a profile has of its own.
var added = map[release.Profile]string{
	release.Debug:          " systemd.volatile=overlay console=ttyS0,115200",
	release.LockedReadOnly: " quiet loglevel=0 console=tty0 systemd.show_status=0",
}

// parts sets what the disk will be made of.
func (i *image) parts() {
	const partition = "PARTUUID=4d45524f-5445-4500-8000-00000000000"
	i.line = fmt.Sprintf("roothash=%s systemd.verity_root_data=%s3 systemd.verity_root_hash=%s4 ro "+
		"systemd.verity_root_options=panic-on-corruption systemd.gpt_auto=0 efi=noruntime panic=5 "+
		"systemd.import_credentials=no rd.shell=0 rd.emergency=reboot mero.profile=%s "+
		"mero.content=%x%s", rootHash, partition, partition, i.profile,
		sha256.Sum256([]byte(i.read("/usr/share/mero/manifest"))), added[i.profile])
	i.stub = "code \x3d\x1a\x75\x96\xf4\x72\xa6\x41 code \xa7\x94\xed\x5d\x0e\x67\xae\x6b"
	i.initrd = map[string]string{"usr/lib/systemd/system-generators/systemd-veritysetup-generator": ""}
	for _, module := range []string{"dm-verity", "overlay", "tdx-guest", "gve", "squashfs", "nvme", "virtio_scsi",
		"sd_mod", "virtio_blk", "virtio_pci"} {
		i.initrd["usr/lib/modules/"+kernelVersion+"/"+module+".ko.zst"] = ""
	}
	i.write("/lib/modules/"+kernelVersion+"/modules.builtin", "kernel/drivers/net/virtio_net.ko\n", 0o644)
	tree := "roles/disk/files/root/run/mero/initrd"
	require.NoError(i.t, filepath.WalkDir(tree, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type()&fs.ModeSymlink != 0 {
			i.initrd[strings.TrimPrefix(path, tree+"/")], err = os.Readlink(path)
		}
		return err
	}))
}

// archive is an initrd as the kernel reads one (initramfs buffer format), not compressed.
func archive(names map[string]string) string {
	var b strings.Builder
	for _, name := range append(slices.Sorted(maps.Keys(names)), "TRAILER!!!") {
		mode := 0o100644
		if names[name] != "" {
			mode = 0o120777
		}
		fmt.Fprintf(&b, "070701%08x%08x%032x%08x%032x%08x%08x%s\x00", 1, mode, 0, len(names[name]), 0, len(name)+1, 0, name)
		b.WriteString(strings.Repeat("\x00", -b.Len()&3) + names[name])
		b.WriteString(strings.Repeat("\x00", -b.Len()&3))
	}
	return b.String()
}

// pe is the least of a PE file that has sections.
func pe(sections ...[2]string) string {
	head := make([]byte, 0x40, 0x400)
	copy(head, "MZ")
	head[0x3c] = 0x40
	head = append(head, "PE\x00\x00\x64\x86"...)
	head = append(head, byte(len(sections)), 0)
	head = append(head, make([]byte, 16)...)
	body := ""
	for _, s := range sections {
		row := make([]byte, 40)
		copy(row, s[0])
		for at, n := range map[int]int{8: len(s[1]), 16: len(s[1]), 20: 0x400 + len(body)} {
			binary.LittleEndian.PutUint32(row[at:], uint32(n))
		}
		head, body = append(head, row...), body+s[1]
	}
	return string(append(head, make([]byte, 0x400-len(head))...)) + body
}

// assemble makes the parts as they are on the disk's way.
func (i *image) assemble() string {
	i.t.Helper()
	dir := i.t.TempDir()
	initrd := archive(i.initrd)
	uki := pe([2]string{".text", i.stub}, [2]string{".osrel", "ID=ubuntu\n"}, [2]string{".cmdline", i.line},
		[2]string{".initrd", initrd}, [2]string{".linux", "kernel"})
	for name, content := range map[string]string{"initrd": initrd, "uki.efi": uki, "root-hash": rootHash} {
		require.NoError(i.t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	// The initrd here is not compressed.
	require.NoError(i.t, os.WriteFile(filepath.Join(dir, "zstd"), []byte("#!/bin/sh\nexec cat \"$4\"\n"), 0o755))
	return dir
}

// judge runs the conformance step and returns what it says.
func (i *image) judge() (string, error) {
	i.t.Helper()
	cmd := exec.Command(tool(i.t, "python3"), "-IB", "roles/conformance/files/root/run/mero/steps/50-conformance")
	parts := i.assemble()
	cmd.Env = []string{"PATH=" + parts + ":/usr/bin:/bin:/usr/sbin:/sbin", "MERO_ROOT=" + i.root,
		"MERO_BOOT=" + i.path("boot"), "MERO_PARTS=" + parts, "MERO_PROFILE=" + string(i.profile),
		"MERO_PROGRAMS=" + strings.Join(i.programs, " ")}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
