package compose_test

import (
	"bytes"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
)

func TestParseEnv(t *testing.T) {
	t.Parallel()
	got, err := compose.ParseEnv([]byte("# values\r\n\n  A=b c=d\t\r\nEMPTY=\nURL=https://example.org/#x?a=1,2\n"))
	require.NoError(t, err)
	require.Equal(t, map[string]string{"A": "b c=d", "EMPTY": "", "URL": "https://example.org/#x?a=1,2"}, got)
	for name, line := range map[string]string{
		"no value": "A", "no name": "=b", "twice": "A=b\nA=c", "quotes": `A="b"`, "a quote": "A=it's",
		"another variable": "A=$B", "an escape": `A=a\n`, "a comment behind": "A=b # c", "a comment at once": "A=#c",
		"blanks before": "A= b", "blanks behind the name": "A =b", "exported": "export A=b", "as YAML": "A: b",
		"a space of Unicode": "A=b\u00a0", "a next line of Unicode": "A=b\u0085", "not ASCII": "A=größe",
		"a control character": "A=a\x1bb", "a byte-order mark": "\ufeffA=b", "a number": "1A=b", "a command": "A=`b`",
	} {
		_, err := compose.ParseEnv([]byte(line))
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
		require.ErrorContains(t, err, "is no value of a variable", name)
	}
}

// What is taken, compose's own reader takes for the same.
func FuzzParseEnv(f *testing.F) {
	for _, s := range []string{"A=b\n#c\nB=", "A=b # c", "A=a=b", "A=b\r\nC=d", "A=b,c:d", "A=[x]{y}", "\tA=1\t"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		got, err := compose.ParseEnv(data)
		if err != nil {
			return
		}
		theirs, err := dotenv.Parse(bytes.NewReader(data))
		require.NoError(t, err, "%q", data)
		require.Equal(t, theirs, got, "%q", data)
	})
}
