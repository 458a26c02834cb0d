package chroot

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
		"Y='a b'\nexport X=$Y",
		"Y=`true`\nX=fine",
		"X={a,b}*?[c]\\~",
		"X=$Y\nX=${X}.",
		"X=é\\é\"é\"",
		"X=",
		"",
	} {
		v, err := variables(nil).source([]byte(text))
		require.NoError(t, err, text)
		got, err := v.get("X")
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
	v, err := variables(nil).source([]byte(stock))
	require.NoError(t, err)
	v, err = v.source([]byte(`GRUB_CMDLINE_LINUX="$GRUB_CMDLINE_LINUX mero.profile=debug"`))
	require.NoError(t, err)
	got, err := v.get("GRUB_CMDLINE_LINUX")
	require.NoError(t, err)
	require.Equal(t, " mero.profile=debug", got)
	_, err = v.get("GRUB_DISTRIBUTOR")
	require.ErrorContains(t, err, "set by a command")
	v, err = v.source([]byte(`A="x $GRUB_DISTRIBUTOR"; GRUB_DISTRIBUTOR=Debian`))
	require.NoError(t, err)
	_, err = v.get("A")
	require.ErrorContains(t, err, "set by a command", "what is made from an unknown value is unknown")
	got, err = v.get("GRUB_DISTRIBUTOR")
	require.NoError(t, err)
	require.Equal(t, "Debian", got)
}

func TestSourceRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"a command":           {"A=1\nrm -rf /", "line 2: not an assignment"},
		"a condition":         {"if true; then A=1; fi", "not an assignment"},
		"a program's":         {"A=1 true", "not an assignment"},
		"an appended value":   {"A+=1", "not an assignment"},
		"a name alone":        {"export A", "not an assignment"},
		"an option":           {"export -n A=1", "not an assignment"},
		"another declaration": {"readonly A=1", "not an assignment"},
		"an array":            {"A=(1 2)", "not an assignment"},
		"an element":          {"A[0]=1", "not an assignment"},
		"a number's name":     {"1=a", "not an assignment"},
		"a background":        {"A=1 &", "not an assignment"},
		"a negation":          {"! A=1", "not an assignment"},
		"a list":              {"A=1 && A=2", "not an assignment"},
		"a redirection":       {"A=1>file", "not an assignment"},
		"a substitution":      {"A=$(rm -rf /)", "only quotations, $NAME"},
		"arithmetic":          {"A=$((1+1))", "only quotations, $NAME"},
		"bash's quotes":       {"A=$'x'", "only quotations, $NAME"},
		"a translation":       {`A=$"x"`, "only quotations, $NAME"},
		"an expansion":        {"A=${B:-c}", "only quotations, $NAME, ${NAME}"},
		"a length":            {"A=${#A}", "only quotations, $NAME, ${NAME}"},
		"a parameter":         {`A="$1"`, "only quotations, $NAME"},
		"a dollar alone":      {"A=x$", "after a $ only the name"},
		"a home":              {"A=~/x", "outside quotes"},
		"no single quote":     {"A='x", "1:3: reached EOF without closing quote"},
		"no double quote":     {`A="x`, "1:3: reached EOF without closing quote"},
		"no back quote":       {"A=`x", "1:3: reached EOF without closing quote"},
		"no more":             {`A=x\`, "backslash ends"},
		"a NUL":               {"A=\"x\x00\"", "NUL"},
		"a carriage return":   {"A=x\r\n", "carriage return"},
		"too much":            {"#" + strings.Repeat("x", maxAssignments), "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := variables(nil).source([]byte("A=before"))
			require.NoError(t, err)
			_, err = v.source([]byte(tc.text))
			require.ErrorContains(t, err, tc.want)
			got, err := v.get("A")
			require.NoError(t, err)
			require.Equal(t, "before", got)
		})
	}
}

// What is sourced twice in a row from the same text gives the same values, and nothing panics.
func FuzzSource(f *testing.F) {
	for _, seed := range []string{stock, "X=a\nX=\"$X b\"", "X='a'\"b\"\\c", "X=`", "X=\\", "export X=${Y}"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		first, err := variables(nil).source([]byte(text))
		second, again := variables(nil).source([]byte(text))
		require.Equal(t, err, again)
		a, errA := first.get("X")
		b, errB := second.get("X")
		require.Equal(t, errA, errB)
		require.Equal(t, a, b)
		require.NotContains(t, a, "\x00")
	})
}
