package assignment_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/chroot/assignment"
)

// stock is what Debian's and Ubuntu's packages put into /etc/default/grub.
const stock = `# If you change this file, run 'update-grub' afterwards
GRUB_DEFAULT=0
GRUB_TIMEOUT=5
GRUB_DISTRIBUTOR=` + "`lsb_release -i -s 2> /dev/null || echo Debian`" + `
GRUB_CMDLINE_LINUX_DEFAULT="quiet"
GRUB_CMDLINE_LINUX=""

#GRUB_TERMINAL=console
`

// Each value here is compared with what a real shell sets.
func TestValuesAreAShells(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		stock,
		"X=a\nX=\"$X b\"\nX=\"${X} c\"",
		"X='$X \\ \"'\"it's\"plain\\ end",
		`X="a\"b\\c\$d\e"`,
		"X=\"one\\\ntwo\"",
		"X=one\\\ntwo",
		"X=\"two\nlines\"",
		"Y=1; X=$Y$Y # comment",
		"Y=1 X=a#b",
		"export X=exported",
		"Y=`true`\nX=fine",
		"X=",
		"",
	} {
		var v assignment.Variables
		require.NoError(t, v.Parse([]byte(text)), text)
		got, err := v.Get("X")
		require.NoError(t, err, text)
		require.Equal(t, shell(t, text), got, text)
	}
}

func shell(t *testing.T, text string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", text+"\nprintf %s. \"$X\"")
	cmd.Env = []string{}
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.TrimSuffix(string(out), ".")
}

func TestAFileAfterAnother(t *testing.T) {
	t.Parallel()
	var v assignment.Variables
	require.NoError(t, v.Parse([]byte(stock)))
	require.NoError(t, v.Parse([]byte(`GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX mero.profile=debug"`)))
	got, err := v.Get("GRUB_CMDLINE_LINUX")
	require.NoError(t, err)
	require.Equal(t, " mero.profile=debug", got)
	_, err = v.Get("GRUB_DISTRIBUTOR")
	require.ErrorContains(t, err, "set by a command")
	require.NoError(t, v.Parse([]byte(`A="x $GRUB_DISTRIBUTOR"; GRUB_DISTRIBUTOR=Debian`)))
	_, err = v.Get("A")
	require.ErrorContains(t, err, "set by a command", "what is made from an unknown value is unknown")
	got, err = v.Get("GRUB_DISTRIBUTOR")
	require.NoError(t, err)
	require.Equal(t, "Debian", got)
}

func TestRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"a command":         {"A=1\nrm -rf /", "line 2: not an assignment"},
		"a condition":       {"if true; then A=1; fi", "not an assignment"},
		"a program's":       {"A=1 true", "not an assignment"},
		"an appended value": {"A+=1", "not an assignment"},
		"a substitution":    {"A=$(rm -rf /)", "only the name"},
		"an expansion":      {"A=${B:-c}", "only ${NAME}"},
		"a parameter":       {`A="$1"`, "only the name"},
		"a redirection":     {"A=1>file", "outside quotes"},
		"a home":            {"A=~/x", "outside quotes"},
		"no single quote":   {"A='x", "does not end"},
		"no double quote":   {`A="x`, "does not end"},
		"no back quote":     {"A=`x", "does not end"},
		"no more":           {`A=x\`, "backslash ends"},
		"a NUL":             {"A=\"x\x00\"", "NUL"},
		"too much":          {"#" + strings.Repeat("x", assignment.MaxSize), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var v assignment.Variables
			require.NoError(t, v.Parse([]byte("A=before")))
			require.ErrorContains(t, v.Parse([]byte(tc.text)), tc.want)
			got, err := v.Get("A")
			require.NoError(t, err)
			require.Equal(t, "before", got)
		})
	}
}

// What is parsed twice in a row from the same text gives the same values, and nothing panics.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{stock, "X=a\nX=\"$X b\"", "X='a'\"b\"\\c", "X=`", "X=\\", "export X=${Y}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var first, second assignment.Variables
		err := first.Parse([]byte(text))
		require.Equal(t, err, second.Parse([]byte(text)))
		a, errA := first.Get("X")
		b, errB := second.Get("X")
		require.Equal(t, errA, errB)
		require.Equal(t, a, b)
		require.NotContains(t, a, "\x00")
	})
}
