package osrelease_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/osrelease"
)

func TestParse(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		text string
		want map[string]string
	}{
		"Debian": {"PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_ID=\"12\"\n" +
			"VERSION_CODENAME=bookworm\nID=debian\n",
			map[string]string{"PRETTY_NAME": "Debian GNU/Linux 12 (bookworm)", "VERSION_ID": "12",
				"VERSION_CODENAME": "bookworm", "ID": "debian"}},
		"Ubuntu": {"ID=ubuntu\nID_LIKE=debian\nVERSION_ID='26.04'\n",
			map[string]string{"ID": "ubuntu", "ID_LIKE": "debian", "VERSION_ID": "26.04"}},
		"comments and nothing":  {"# ID=one\n\nID=two", map[string]string{"ID": "two"}},
		"another alphabet":      {"NAME=\"Система\"\n", map[string]string{"NAME": "Система"}},
		"an equals sign":        {"A=\"b=c\"\n", map[string]string{"A": "b=c"}},
		"the other quote in it": {"A='\"'\nB=\"'\"\n", map[string]string{"A": `"`, "B": "'"}},
		"empty":                 {"", map[string]string{}},
		"an empty value":        {"A=\nB=''\n", map[string]string{"A": "", "B": ""}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := osrelease.Parse(tc.text)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ text, want string }{
		"huge":                  {strings.Repeat("#\n", 1<<20), "more than 16384 bytes"},
		"a command":             {"ID=a\nls\n", "line 2: not an assignment of a plain value"},
		"a command's output":    {"ID=`id`", "line 1: not an assignment of a plain value"},
		"a variable":            {`ID="$X"`, "line 1: not an assignment of a plain value"},
		"a bare variable":       {`ID=$X`, "line 1: not an assignment of a plain value"},
		"an escape":             {`ID="a\"b"`, "line 1: not an assignment of a plain value"},
		"an open quote":         {"ID=\"debian", "line 1: not an assignment of a plain value"},
		"two quotes":            {`ID="a""b"`, "line 1: not an assignment of a plain value"},
		"two words":             {"ID=a b", "line 1: not an assignment of a plain value"},
		"two commands":          {"ID=a;ls", "line 1: not an assignment of a plain value"},
		"space before the name": {" ID=a", "line 1: not an assignment of a plain value"},
		"export":                {"export ID=a", "line 1: not an assignment of a plain value"},
		"two of a variable":     {"ID=debian\n\nID=ubuntu\n", "line 3: ID is there twice"},
		"a colour":              {"NAME=\"\x1b[31m\"", "line 1: a character that does not print"},
		"a carriage return":     {"ID=debian\r\n", "line 1: a character that does not print"},
		"a tab":                 {"NAME=\"a\tb\"", "line 1: a character that does not print"},
		"a turn of direction":   {"NAME=\"a\u202eb\"", "line 1: a character that does not print"},
		"a comment's NUL":       {"# \x00", "line 1: a character that does not print"},
		"other bytes":           {"NAME=\"\xff\"", "not UTF-8"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := osrelease.Parse(tc.text)
			require.ErrorContains(t, err, tc.want)
			require.Nil(t, got)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nVERSION_CODENAME=bookworm\nID=debian\n")
	f.Add("A='b'\n# c\n\nD=\"e f\"")
	f.Fuzz(func(t *testing.T, text string) {
		values, err := osrelease.Parse(text)
		if err != nil {
			require.Nil(t, values)
			return
		}
		var again strings.Builder
		for name, value := range values {
			require.Contains(t, text, name+"=")
			require.NotContains(t, name+value, "\n")
			quote := `"`
			if strings.ContainsAny(value, "\"$`\\") {
				quote = "'"
			}
			again.WriteString(name + "=" + quote + value + quote + "\n")
		}
		same, err := osrelease.Parse(again.String())
		if again.Len() <= 16<<10 { // the quotes may be too much
			require.NoError(t, err)
			require.Equal(t, values, same)
		}
	})
}
