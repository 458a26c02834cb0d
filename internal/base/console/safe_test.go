package console

import (
	"bytes"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// What comes from outside, as a name or as an answer, is shown and does nothing.
func TestTextFromOutside(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ text, want string }{
		"plain":              {"a wörk 世界", "a wörk 世界"},
		"clears the screen":  {"evil\x1b[2J\x1b[1;32m[PASS] all is well", `evil\x1b[2J\x1b[1;32m[PASS] all is well`},
		"a line of ours":     {"x\n[PASS] signature", "x\n     | [PASS] signature"},
		"a carriage return":  {"x\r[PASS] signature", `x\r[PASS] signature`},
		"Windows' lines":     {"x\r\ny\r\n", "x\n     | y"},
		"a workflow command": {"x\n  ::stop-commands::t", "x\n     |   ::stop-commands::t"},
		"the older command":  {"x ##[add-mask]a", `x #\#[add-mask]a`},
		"direction":          {"a\u202egnp.exe", `a\u202egnp.exe`},
		"invisible":          {"measure\u2060ment\u200b", `measure\u2060ment\u200b`},
		"a line separator":   {"a\u2028[PASS] b", `a\u2028[PASS] b`},
		"a next line":        {"a\u0085[PASS] b", `a\u0085[PASS] b`},
		"not UTF-8":          {"a\xffb", `a\xffb`},
		"a tab":              {"a\tb", "a    b"},
		"a bell":             {"a\ab", `a\ab`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var b bytes.Buffer
			New(&b, false).Infof("%s", c.text)
			require.Equal(t, "[INFO] "+c.want+"\n", b.String())
			b.Reset()
			New(&b, false).Fault(&fault.Error{Message: "m", Got: c.text})
			require.Equal(t, "[ERROR] m\n       Got:      "+c.want+"\n", b.String())
		})
	}
}

// Standard output has no levels: what is shown there keeps its lines.
func TestShown(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a\n  b\\x1b[2J\n|   ::error::c\nd #\\#[e\n", Shown("a\n  b\x1b[2J\n  ::error::c\nd ##[e"))
	require.Empty(t, Shown(""))
}

func TestADetailIsNoCommand(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	New(&b, false).Detail("%s", "::error::x")
	require.Equal(t, "       | ::error::x\n", b.String())
}

// FuzzConsole holds the promise for every text: no control character but the ends of lines, and no line that begins
// as one of ours or as a command.
func FuzzConsole(f *testing.F) {
	f.Add("x\n[PASS] y")
	f.Add("##[group]\r\n::a::b")
	f.Fuzz(func(t *testing.T, text string) {
		var b bytes.Buffer
		New(&b, false).Infof("%s", text)
		for i, line := range strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n") {
			require.False(t, strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }), "%q", line)
			require.NotContains(t, line, "##[")
			require.Equal(t, i == 0, strings.HasPrefix(line, "["), "%q", line)
			require.False(t, strings.HasPrefix(strings.TrimSpace(line), "::"), "%q", line)
		}
	})
}

func TestNumber(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]string{0: "0 days", 1: "1 day", 2: "2 days"} {
		require.Equal(t, want, Number(n, "day"))
	}
}
