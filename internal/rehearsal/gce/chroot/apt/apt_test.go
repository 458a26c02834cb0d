package apt_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/apt"
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

func machine(files map[string]string) fstest.MapFS {
	out := fstest.MapFS{}
	for name, text := range files {
		out[name] = &fstest.MapFile{Data: []byte(text)}
	}
	for _, id := range []string{"debian", "ubuntu"} {
		out["usr/share/keyrings/"+id+"-archive-keyring.gpg"] = &fstest.MapFile{}
	}
	return out
}

func TestRead(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"deb822": {map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list.d/debian.sources": deb822}, `Types: deb
URIs: http://archive.test/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

`},
		"lines, without a keyring": {map[string]string{"usr/lib/os-release": noble, "etc/apt/sources.list": `
# deb http://commented.test/ubuntu noble main
deb [arch=amd64]	http://archive.test/ubuntu noble main universe # the archive
deb-src http://archive.test/ubuntu noble main
deb http://archive.test/ubuntu noble-backports main
`}, `Types: deb
URIs: http://archive.test/ubuntu
Suites: noble
Components: main universe
Signed-By: /usr/share/keyrings/ubuntu-archive-keyring.gpg

`},
		"others": {map[string]string{
			"etc/os-release":                               bookworm,
			"etc/apt/sources.list":                         "deb http://archive.test/debian bookworm main",
			"etc/apt/sources.list.d/trusted.list":          "deb [trusted=yes] http://own.test/debian bookworm main",
			"etc/apt/sources.list.d/theirs.list":           "deb [signed-by=/etc/apt/keyrings/theirs.gpg] http://theirs.test bookworm main",
			"etc/apt/sources.list.d/stable.list":           "deb http://vendor.test/linux/debian bookworm stable",
			"etc/apt/sources.list.d/off.sources":           "Enabled: no\n" + strings.SplitAfter(deb822, "\n\n")[0],
			"etc/apt/sources.list.d/key.sources":           "Types: deb\nURIs: http://key.test\nSuites: bookworm\nComponents: main\nSigned-By:\n -----BEGIN\n .\n =abcd\n",
			"etc/apt/sources.list.d/two.sources":           "Types: deb\nURIs: http://two.test\nSuites: bookworm\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg /x.gpg\n",
			"etc/apt/sources.list.d/node.sources":          "Types: deb\nURIs: http://node.test\nSuites: nodistro\nComponents: main\n",
			"etc/apt/sources.list.d/more.list.disabled":    "deb http://disabled.test bookworm main",
			"etc/apt/sources.list.d/other-ubuntu.list":     "deb [signed-by=/usr/share/keyrings/ubuntu-archive-keyring.gpg] http://ubuntu.test bookworm main",
			"etc/apt/sources.list.d/security.sources":      strings.SplitAfter(deb822, "\n\n")[1],
			"etc/apt/sources.list.d/another-suite.list":    "deb http://archive.test/debian trixie main",
			"etc/apt/sources.list.d/empty-options.list":    "",
			"etc/apt/sources.list.d/only-comments.sources": "# nothing\n",
		}, `Types: deb
URIs: http://archive.test/debian
Suites: bookworm
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://security.test/debian-security
Suites: bookworm-security
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d, err := apt.Read(machine(tc.files))
			require.NoError(t, err)
			require.Equal(t, tc.want, d.Text())
		})
	}
}

func TestReadRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"no os-release":     {map[string]string{}, "os-release"},
		"another system":    {map[string]string{"etc/os-release": "ID=fedora\nPRETTY_NAME='Fedora Linux'"}, `this machine is "Fedora Linux"`},
		"no code name":      {map[string]string{"etc/os-release": "ID=debian"}, "neither a release"},
		"no sources":        {map[string]string{"etc/os-release": bookworm}, "no archive of Debian"},
		"only updates":      {map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list": "deb http://a.test bookworm-updates main"}, "no archive"},
		"an open option":    {map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list": "\ndeb [a=b http://a.test x main"}, "/etc/apt/sources.list: line 2"},
		"no suite":          {map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list": "deb http://a.test"}, "a URI and a suite"},
		"no field":          {map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list.d/a.sources": "hello"}, "not a field"},
		"a continuation of": {map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list.d/a.sources": " x: y"}, "not a field"},
		"a huge file":       {map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list": strings.Repeat("#\n", 1<<20)}, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := apt.Read(machine(tc.files))
			require.ErrorContains(t, err, tc.want)
		})
	}
	files := machine(map[string]string{"etc/os-release": bookworm, "etc/apt/sources.list.d/debian.sources": deb822})
	delete(files, "usr/share/keyrings/debian-archive-keyring.gpg")
	_, err := apt.Read(files)
	require.ErrorContains(t, err, "no keyring")
}

func TestMirrorFiles(t *testing.T) {
	t.Parallel()
	d, err := apt.Read(machine(map[string]string{"etc/os-release": noble,
		"etc/apt/sources.list": "deb mirror+file:/etc/apt/mirrors.txt noble main\ndeb mirror+file:/etc/apt/mirrors.txt noble-updates main"}))
	require.NoError(t, err)
	require.Equal(t, []string{"/etc/apt/mirrors.txt"}, d.MirrorFiles())
}

func FuzzSources(f *testing.F) {
	f.Add(deb822)
	f.Add("deb [signed-by=/x arch=amd64] http://a.test bookworm main # x")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := apt.Lines([]byte(text))
		if err == nil {
			for _, s := range lines {
				require.Len(t, s.URIs, 1)
				require.Len(t, s.Suites, 1)
			}
		}
		stanzas, err := apt.Stanzas([]byte(text))
		if err != nil {
			require.Nil(t, stanzas)
		}
	})
}
