package chroot

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	bookworm = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n"
	noble    = "PRETTY_NAME=\"Ubuntu 24.04.3 LTS\"\nVERSION_CODENAME=noble\nID=ubuntu\nID_LIKE=debian\n"
	deb822   = `Types: deb deb-src
# a comment
URIs: http://archive.test/debian
Suites: bookworm bookworm-updates
 bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`
)

// systemOf is the root file system of a machine with these files and the
// keyrings of both distributions. It skips the test where there is no apt.
func systemOf(t *testing.T, files map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("apt-get"); err != nil {
		t.Skip("the base image needs apt-get")
	}
	root := t.TempDir()
	for _, folder := range []string{"etc/apt/sources.list.d", "etc/apt/apt.conf.d", "var/lib/apt/lists/partial",
		"usr/lib", "usr/share/keyrings"} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, folder), 0o755))
	}
	files["usr/share/keyrings/debian-archive-keyring.gpg"] = ""
	files["usr/share/keyrings/ubuntu-archive-keyring.gpg"] = ""
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(text), 0o644))
	}
	return root
}

// downloaded is what apt-get update leaves of a suite, in apt's names of files.
func downloaded(t *testing.T, root, origin string, suites map[string]string) {
	t.Helper()
	architecture, err := exec.CommandContext(t.Context(), "dpkg", "--print-architecture").Output()
	require.NoError(t, err)
	for suite, components := range suites {
		lists := filepath.Join(root, "var/lib/apt/lists", suite)
		release := "Origin: " + origin + "\nSuite: stable\nDate: Thu, 26 Nov 2026 00:00:00 UTC\nSHA256:\n"
		require.NoError(t, os.WriteFile(lists+"_InRelease", []byte(release), 0o644))
		for component := range strings.FieldsSeq(components) {
			packages := lists + "_" + component + "_binary-" + strings.TrimSpace(string(architecture)) + "_Packages"
			require.NoError(t, os.WriteFile(packages, nil, 0o644))
		}
	}
}

// Ubuntu is asked of where apt gets it from, else beside each mirror of Debian.
func TestWhereUbuntuMayBe(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files   map[string]string
		origin  string
		suites  map[string]string // that were downloaded from who has the origin, with their components
		debian  map[string]string // from Debian, where the origin is another
		foreign map[string]string // from somebody else
		want    []mirror
	}{
		"deb822": {
			files:  map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list.d/debian.sources": deb822},
			origin: "Debian",
			suites: map[string]string{"archive.test_debian_dists_bookworm": "main",
				"archive.test_debian_dists_bookworm-updates":            "main",
				"archive.test_debian_dists_bookworm-backports":          "main",
				"security.test_debian-security_dists_bookworm-security": "main"},
			want: []mirror{{"http://archive.test/ubuntu", "http://archive.test/ubuntu"}},
		},
		"Ubuntu on Debian": {
			files: map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list": `
deb http://archive.test/debian bookworm main
deb http://u.test/ubuntu noble main
deb http://us.test/ubuntu noble-security main
`},
			origin: "Ubuntu",
			suites: map[string]string{"u.test_ubuntu_dists_noble": "main", "us.test_ubuntu_dists_noble-security": "main"},
			debian: map[string]string{"archive.test_debian_dists_bookworm": "main"},
			want:   []mirror{{"http://u.test/ubuntu", "http://us.test/ubuntu"}},
		},
		"lines, without a keyring": {
			files: map[string]string{"usr/lib/os-release": noble, "etc/apt/sources.list": `
# deb http://commented.test/ubuntu noble main
deb	http://archive.test/ubuntu noble main universe # the archive
deb-src http://archive.test/ubuntu noble main
deb http://archive.test/ubuntu noble-backports main
`},
			origin: "Ubuntu",
			suites: map[string]string{"archive.test_ubuntu_dists_noble": "main universe",
				"archive.test_ubuntu_dists_noble-backports": "main"},
			want: []mirror{{"http://archive.test/ubuntu", "http://archive.test/ubuntu"}},
		},
		"others": {
			files: map[string]string{
				"etc/os-release":                            bookworm,
				"etc/apt/sources.list":                      "deb http://archive.test/debian bookworm main",
				"etc/apt/sources.list.d/trusted.list":       "deb [trusted=yes] http://own.test/debian bookworm main",
				"etc/apt/sources.list.d/theirs.list":        "deb [signed-by=/theirs.gpg] http://theirs.test bookworm main",
				"etc/apt/sources.list.d/stable.list":        "deb http://vendor.test/linux/debian bookworm stable",
				"etc/apt/sources.list.d/off.sources":        "Enabled: no\n" + strings.SplitAfter(deb822, "\n\n")[0],
				"etc/apt/sources.list.d/node.sources":       "Types: deb\nURIs: http://node.test\nSuites: node\nComponents: main\n",
				"etc/apt/sources.list.d/more.list.disabled": "deb http://disabled.test bookworm main",
				"etc/apt/sources.list.d/ubuntu.list":        "deb http://ubuntu.test bookworm main",
				"etc/apt/sources.list.d/security.sources":   strings.SplitAfter(deb822, "\n\n")[1],
				"etc/apt/sources.list.d/not-updated.list":   "deb http://not-updated.test bookworm main",
				"etc/apt/sources.list.d/trixie.list":        "deb http://archive.test/debian trixie main",
				"etc/apt/sources.list.d/flat.list":          "deb http://archive.test/debian ./",
				"etc/apt/sources.list.d/empty.list":         "",
				"etc/apt/sources.list.d/comments.sources":   "# nothing\n",
			},
			origin: "Debian",
			suites: map[string]string{"archive.test_debian_dists_bookworm": "main", "archive.test_debian_dists_trixie": "main",
				"security.test_debian-security_dists_bookworm-security": "main", "disabled.test_dists_bookworm": "main"},
			foreign: map[string]string{"own.test_debian_dists_bookworm": "main", "theirs.test_dists_bookworm": "main",
				"vendor.test_linux_debian_dists_bookworm": "stable", "node.test_dists_node": "main",
				"ubuntu.test_dists_bookworm": "main"},
			want: []mirror{{"http://archive.test/ubuntu", "http://archive.test/ubuntu"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := systemOf(t, tc.files)
			downloaded(t, root, tc.origin, tc.suites)
			downloaded(t, root, "Debian", tc.debian)
			downloaded(t, root, "Somebody", tc.foreign)
			d, err := readDistribution(t.Context(), &runner{}, root)
			require.NoError(t, err)
			require.Equal(t, tc.want, d.mirrors())
		})
	}
}

func TestReadDistributionRefuses(t *testing.T) {
	t.Parallel()
	const list = "etc/apt/sources.list"
	of := func(name, text string) map[string]string {
		return map[string]string{"etc/os-release": bookworm, name: text}
	}
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no os-release":             {map[string]string{}, "os-release"},
		"a huge os-release":         {of("etc/os-release", strings.Repeat("#\n", 1<<20)), "more than 16384 bytes"},
		"a command":                 {of("etc/os-release", bookworm+"ls"), "/etc/os-release: line 4: not an assignment of"},
		"a command's output":        {of("etc/os-release", "ID=`id`"), "line 1: not an assignment of a plain value"},
		"a variable":                {of("etc/os-release", `ID="$X"`), "line 1: not an assignment of a plain value"},
		"an open quote":             {of("etc/os-release", "ID=\"debian"), "line 1: not an assignment of a plain value"},
		"another system":            {of("etc/os-release", "ID=fedora\nPRETTY_NAME='Fedora'"), `this machine is "Fedora"`},
		"no code name":              {of("etc/os-release", "ID=debian"), "neither a release"},
		"no sources":                {of("etc/os-release", bookworm), "apt has downloaded nothing of Debian"},
		"nothing downloaded":        {of(list, "deb http://a.test/debian bookworm main"), "downloaded nothing"},
		"only updates":              {of(list, "deb http://only.test bookworm-updates main"), "downloaded nothing"},
		"an open option":            {of(list, "\ndeb [a=b http://a.test x main"), "Malformed entry"},
		"no suite":                  {of(list, "deb http://a.test"), "Malformed entry 1"},
		"no field":                  {of("etc/apt/sources.list.d/a.sources", "hello"), "E: "},
		"a continuation of nothing": {of("etc/apt/sources.list.d/a.sources", " x: y"), "downloaded nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := systemOf(t, tc.files)
			downloaded(t, root, "Debian", map[string]string{"only.test_dists_bookworm-updates": "main"})
			_, err := readDistribution(t.Context(), &runner{}, root)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// A machine that has no keyring of Ubuntu and no Debian to fetch it from is told so.
func TestNoMirrorOfUbuntu(t *testing.T) {
	t.Parallel()
	a := &apt{dir: t.TempDir()}
	_, err := a.find(t.Context(), &distribution{id: "debian", name: "Debian",
		archives: []archive{{uri: "mirror+file:/x", suite: "x"}}})
	require.ErrorContains(t, err, "has no source of Ubuntu, nor a mirror of Debian")
}

// The security updates of a release come from where the machine gets its own.
func TestSourcesOfUbuntu(t *testing.T) {
	t.Parallel()
	require.Equal(t, `Types: deb
URIs: http://a.test
Suites: resolute
Components: main universe
Signed-By: /k.gpg

Types: deb
URIs: http://a.test
Suites: resolute-updates
Components: main universe
Signed-By: /k.gpg

Types: deb
URIs: http://s.test
Suites: resolute-security
Components: main universe
Signed-By: /k.gpg

`, mirror{"http://a.test", "http://s.test"}.sources(baseCodename, "/k.gpg", "main", "universe"))
}

func TestMirrorFiles(t *testing.T) {
	t.Parallel()
	const mirrors = "mirror+file:/etc/apt/mirrors.txt"
	root := systemOf(t, map[string]string{"etc/os-release": noble,
		"etc/apt/sources.list": "deb " + mirrors + " noble main\ndeb " + mirrors + " noble-updates main"})
	downloaded(t, root, "Ubuntu", map[string]string{"_etc_apt_mirrors.txt_dists_noble": "main",
		"_etc_apt_mirrors.txt_dists_noble-updates": "main"})
	d, err := readDistribution(t.Context(), &runner{}, root)
	require.NoError(t, err)
	require.Equal(t, []string{"/etc/apt/mirrors.txt"}, d.mirrorFiles())
}

// Everything that goes into a base moves its key.
func TestTheBasesKey(t *testing.T) {
	t.Parallel()
	d := distribution{id: "debian", archives: []archive{{uri: "http://a.test/debian"}}}
	november := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	key := func(d distribution, options []string, month time.Time) string {
		return (&recipe{&d, options, month}).key()
	}
	first := key(d, nil, november)
	require.Equal(t, first, key(d, nil, november))
	other, mirrored := d, d
	other.archives = []archive{{uri: "http://b.test/debian"}}
	mirrored.ubuntu = []archive{{uri: "mirror+file:/etc/apt/mirrors.txt"}}
	for _, another := range []string{key(other, nil, november), key(mirrored, nil, november),
		key(d, []string{`Acquire::Check-Date "false"`}, november), key(d, nil, november.AddDate(0, 1, 0))} {
		require.NotEqual(t, first, another)
	}
}
