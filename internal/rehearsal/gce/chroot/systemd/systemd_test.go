package systemd_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/systemd"
)

// measure is a unit like the node image's.
const measure = `# Extends RTMR3, before anything else.
[Unit]
Description=Measure the profile
DefaultDependencies=no
Before=sysinit.target \
; a comment between
  mero-agent.service

[Service]
Type=oneshot
RemainAfterExit=yes
Environment=A=1 "B=two words" 'C=100%%'
ExecStart=/usr/lib/mero/mero-agent -profile=debug "-x=a b" 'it''s' "q\"\x41\101\s" $$HOME 50%% -measure
ProtectSystem=strict

[Install]
WantedBy=sysinit.target
`

func TestParse(t *testing.T) {
	t.Parallel()
	got, err := systemd.Parse("mero-measure.service", []byte(measure))
	require.NoError(t, err)
	require.Equal(t, &systemd.Service{
		Name: "mero-measure.service", Type: "oneshot",
		Before:      []string{"sysinit.target", "mero-agent.service"},
		Early:       true,
		Environment: []string{"A=1", "B=two words", "C=100%"},
		Commands: [][]string{{"/usr/lib/mero/mero-agent", "-profile=debug", "-x=a b", "its", `q"AA `, "$HOME", "50%",
			"-measure"}},
	}, got)
}

// What a service owns, and what it waits for.
func TestAServiceWithAUserOfItsOwn(t *testing.T) {
	t.Parallel()
	got, err := systemd.Parse("a.service",
		[]byte("[Unit]\nConditionPathExists=/no\nConditionPathExists=\nConditionPathExists=/x\n[Service]\nType=exec\n"+
			"EnvironmentFile=-/etc/x\nDynamicUser=yes\nStateDirectory=no\nStateDirectory=\nStateDirectory=a b_c\n"+
			"StateDirectoryMode=0700\nExecStart=/bin/a\n"))
	require.NoError(t, err)
	require.Equal(t, &systemd.Service{Name: "a.service", Type: "exec", After: []string{"sysinit.target"},
		Commands: [][]string{{"/bin/a"}}, DynamicUser: true, State: []string{"a", "b_c"}, StateMode: "0700",
		EnvironmentFiles: []string{"/etc/x"}, Conditions: []string{"/x"}}, got)
}

func TestAnEmptySettingTakesBack(t *testing.T) {
	t.Parallel()
	got, err := systemd.Parse("a.service",
		[]byte("[Unit]\nAfter=x y\nAfter=\nAfter=z\nRequires=b.service\n[Service]\nUser=mero\n"+
			"ExecStart=/bin/a\nExecStart=\nExecStart=/bin/b\nExecStart=/bin/c ''\n"))
	require.NoError(t, err)
	require.Equal(t, &systemd.Service{Name: "a.service", Type: "simple", After: []string{"z", "sysinit.target"},
		Requires: []string{"b.service"},
		Commands: [][]string{{"/bin/b"}, {"/bin/c", ""}}, User: "mero"}, got)
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"no section":        {"Type=oneshot", "not a setting in a section"},
		"no setting":        {"[Service]\nhello", "a.service: unexpected newline"},
		"an open section":   {"[Ser\nvice]\nUser=x", "is not the name of a section"},
		"no section's name": {"[]\nUser=x", "is not the name of a section"},
		"a carriage":        {"[Service]\r\nUser=x", "not text"},
		"a condition":       {"[Unit]\nConditionKernelVersion=>6", "ConditionKernelVersion= is not supported"},
		"a denied path":     {"[Unit]\nConditionPathExists=!/x", "ConditionPathExists=!/x is not supported"},
		"another type":      {"[Service]\nType=notify\nExecStart=/bin/x", "Type=notify is not supported"},
		"a state outside":   {"[Service]\nStateDirectory=../etc", "StateDirectory=../etc is not supported"},
		"a state's mode":    {"[Service]\nStateDirectoryMode=4755", "StateDirectoryMode=4755 is not supported"},
		"a root of its own": {"[Service]\nRootDirectory=/x", "RootDirectory= is not supported"},
		"other paths":       {"[Service]\nBindPaths=/x", "BindPaths=/x is not supported"},
		"an assertion":      {"[Unit]\nAssertPathExists=/x", "AssertPathExists= is not supported"},
		"a preparation":     {"[Service]\nExecStartPre=/bin/x", "ExecStartPre= is not supported"},
		"a file":            {"[Service]\nEnvironmentFile=/x", "EnvironmentFile= is not supported"},
		"a prefix":          {"[Service]\nExecStart=-/bin/x", `the prefix '-'`},
		"all privileges":    {"[Service]\nExecStart=+/bin/x", `the prefix '+'`},
		"a relative path":   {"[Service]\nExecStart=x", "absolute path"},
		"two commands":      {"[Service]\nExecStart=/bin/x ; /bin/y", "several commands"},
		"a specifier":       {"[Service]\nExecStart=/bin/x %n", "not supported"},
		"a variable":        {"[Service]\nExecStart=/bin/x ${A}", "not supported"},
		"an open quote":     {"[Service]\nExecStart=/bin/x \"a", "does not end"},
		"a lone escape":     {"[Service]\nExecStart=/bin/x \\q12", "no escape"},
		"a short escape":    {"[Service]\nExecStart=/bin/x \\x4", "cut short"},
		"a NUL escape":      {"[Service]\nExecStart=/bin/x \\x00", "no escape"},
		"no environment":    {"[Service]\nEnvironment=A", "is not NAME=value"},
		"a NUL":             {"[Service]\nUser=\x00", "not text"},
		"no text":           {"[Service]\nUser=\xff", "not text"},
		"too much":          {strings.Repeat("#", systemd.MaxUnitSize+1), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := systemd.Parse("a.service", []byte(tc.text))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

// image is a root file system of files and, where the contents begin with "->", links.
func image(t *testing.T, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	for name, contents := range files {
		path := filepath.Join(dir, "etc/systemd/system", name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		if target, ok := strings.CutPrefix(contents, "->"); ok {
			require.NoError(t, os.Symlink(target, path))
			continue
		}
		require.NoError(t, os.WriteFile(path, []byte(contents), 0o644))
	}
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close() })
	return root
}

func oneshot(settings string) string {
	return "[Unit]\n" + settings + "\n[Service]\nType=oneshot\nExecStart=/bin/true\n"
}

func TestServices(t *testing.T) {
	t.Parallel()
	root := image(t, map[string]string{
		"a.service":                         oneshot("After=z.service network-online.target"),
		"b.service":                         oneshot("Before=z.service"),
		"z.service":                         oneshot(""),
		"multi-user.target.wants/a.service": "->/etc/systemd/system/a.service",
		"multi-user.target.wants/b.service": "->../b.service",
		"sysinit.target.requires/z.service": "->/etc/systemd/system/z.service",

		"off.service":                            oneshot(""),
		"masked.service":                         "->/dev/null",
		"multi-user.target.wants/masked.service": "->/lib/systemd/system/masked.service",
		"daemon.service":                         "[Service]\nExecStart=/bin/d\n",
		"multi-user.target.wants/daemon.service": "->/etc/systemd/system/daemon.service",
		"alias.service":                          "->/lib/systemd/system/ssh.service",
		"multi-user.target.wants/alias.service":  "->/lib/systemd/system/ssh.service",

		"bad.service":                          "[Service]\nType=oneshot\nExecStart=true\n",
		"multi-user.target.wants/bad.service":  "->/etc/systemd/system/bad.service",
		"more.service":                         oneshot(""),
		"more.service.d/x.conf":                "[Service]\nUser=x\n",
		"multi-user.target.wants/more.service": "->/etc/systemd/system/more.service",
	})
	got, err := systemd.Services(root)
	require.NoError(t, err)
	var order []string
	wrong := map[string]string{}
	for _, s := range got {
		order = append(order, s.Name)
		if s.Err != nil {
			wrong[s.Name] = s.Err.Error()
		}
	}
	require.Equal(t, []string{"b.service", "bad.service", "daemon.service", "more.service", "z.service",
		"a.service"}, order)
	require.Len(t, wrong, 2)
	require.Contains(t, wrong["bad.service"], "absolute path")
	require.Contains(t, wrong["more.service"], "drop-ins")
	for name, want := range map[string]bool{"a.service": true, "alias.service": true, "masked.service": false,
		"off.service": false, "none.service": false} {
		on, err := systemd.Enabled(root, name)
		require.NoError(t, err)
		require.Equal(t, want, on, name)
	}
}

// What comes before sysinit.target comes before all that does not say DefaultDependencies=no.
func TestEarlyUnits(t *testing.T) {
	t.Parallel()
	root := image(t, map[string]string{
		"a.service": oneshot(""), "x.wants/a.service": "->../a.service",
		"b.service": oneshot("DefaultDependencies=no"), "x.wants/b.service": "->../b.service",
		"c.service": oneshot("DefaultDependencies=no\nBefore=sysinit.target"), "x.wants/c.service": "->../c.service",
	})
	got, err := systemd.Services(root)
	require.NoError(t, err)
	var order []string
	for _, s := range got {
		order = append(order, s.Name)
	}
	require.Equal(t, []string{"b.service", "c.service", "a.service"}, order)
}

func TestUnitsInACircle(t *testing.T) {
	t.Parallel()
	root := image(t, map[string]string{
		"a.service": oneshot("After=b.service"), "x.wants/a.service": "->../a.service",
		"b.service": oneshot("After=a.service"), "x.wants/b.service": "->../b.service",
	})
	_, err := systemd.Services(root)
	require.ErrorContains(t, err, "in a circle: a.service, b.service")
}

// No text makes the parser panic, and what it accepts has nothing that a shell or an exec could not take.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{measure, oneshot("After=x"), "[Service]\nExecStart=/a \\x41 \"b\"\\\n c",
		"[Service]\nEnvironment=A=b 'C=d'"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := systemd.Parse("x.service", []byte(text))
		if err != nil {
			return
		}
		for _, c := range s.Commands {
			require.True(t, strings.HasPrefix(c[0], "/"))
			require.NotContains(t, strings.Join(c, ""), "\x00")
		}
		for _, pair := range s.Environment {
			require.Contains(t, pair, "=")
		}
	})
}
