package ansible_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	nodeimage "github.com/calimero-network/mero-tee/internal/node/image"
)

// database is dpkg's of a small system, as dpkg writes it.
const database = `Package: zlib1g
Status: install ok installed
Architecture: amd64
Source: zlib
Version: 1:1.3-1

Package: bash
Status: install ok installed
Architecture: amd64
Source: bash (5.2-1)
Version: 5.2-1+b2

Package: libc6
Status: install ok installed
Architecture: i386
Multi-Arch: same
Source: glibc (2.42-1)
Version: 2.42-1+b1

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: base-files
Status: install ok installed
Architecture: all
Version: 14
`

// The real dpkg-query says of each package what it is called, and of which source it was made.
func TestTheManifestListsPackagesWithTheirSources(t *testing.T) {
	t.Parallel()
	tool(t, "dpkg-query")
	dir := t.TempDir()
	for name, content := range map[string]string{"root/var/lib/dpkg/info/format": "1\n",
		"root/var/lib/dpkg/diversions": "", "root/var/lib/dpkg/status": database, "root/etc/hostname": "mero-node\n"} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
		require.NoError(t, os.Chmod(path, 0o644), "whatever the umask is")
	}
	text, err := os.ReadFile("roles/manifest/files/root/run/mero/steps/20-manifest")
	require.NoError(t, err)
	out := filepath.Join(dir, "manifest")
	script := strings.NewReplacer("/run/mero/root", dir+"/root", "/usr/share/mero/manifest", out).Replace(string(text))
	path := filepath.Join(dir, "20-manifest")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `exec "$0"`, path)
	cmd.Env = []string{"PATH=/usr/bin:/bin", "DPKG_ADMINDIR=" + filepath.Join(dir, "root/var/lib/dpkg")}
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	written, err := os.ReadFile(out)
	require.NoError(t, err)
	sum := digest.Of([]byte("mero-node\n"))
	require.Equal(t, fmt.Sprintf("file\t/etc/hostname\t0644\t%d:%d\t%s\n", os.Getuid(), os.Getgid(), sum.Hex())+
		"package\tbase-files\t14\tall\tbase-files\t14\n"+
		"package\tbash\t5.2-1+b2\tamd64\tbash\t5.2-1\n"+
		"package\tlibc6\t2.42-1+b1\ti386\tglibc\t2.42-1\n"+
		"package\tzlib1g\t1:1.3-1\tamd64\tzlib\t1:1.3-1\n", string(written))
	packages, _, err := nodeimage.ParseManifest(written)
	require.NoError(t, err)
	require.Equal(t, nodeimage.Package{Name: "bash", Version: "5.2-1+b2", Architecture: "amd64", Source: "bash",
		SourceVersion: "5.2-1"}, packages[1])
}

// What mero-predict says goes on as it is: a shell's echo may make lines of the escapes in it.
func TestTheReportHasItsThreeParts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const boot = `{"os_release": "ID=ubuntu\nNAME=\"a\tb\\c\"\n"}`
	for name, content := range map[string]string{"disk": "/dev/null\n", "manifest": "package\ta\t1\tall\ta\t1\n",
		"mero-predict": "#!/bin/sh\ncat <<'END'\n" + boot + "\nEND\n", "umount": "#!/bin/sh\n", "sync": "#!/bin/sh\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o755))
	}
	text, err := os.ReadFile("roles/seal/files/root/run/mero/steps/90-report")
	require.NoError(t, err)
	script := strings.NewReplacer("/run/mero/", dir+"/", "/usr/share/mero/manifest", dir+"/manifest").Replace(string(text))
	path := filepath.Join(dir, "90-report")
	require.NoError(t, os.WriteFile(path, []byte(script), 0o755))
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `exec "$0"`, path)
	cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin"}
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	require.Equal(t, "boot "+boot+"\npackage\ta\t1\tall\ta\t1\n", string(said))
}
