package git

import (
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func FuzzParseLog(f *testing.F) {
	f.Add("h\x00a\x00s (#1)\x00b\n\x00p\x00")
	f.Add("h\x00a\x00s\x00\x00p\x00h\x00a\x00Merge pull request #9 from x\x00\x00p q\x00")
	f.Add("\xff\x00\x00")
	f.Fuzz(func(t *testing.T, out string) {
		entries, err := parseLog(out)
		if err != nil {
			return
		}
		for _, e := range entries {
			require.True(t, utf8.ValidString(e.Subject) && utf8.ValidString(e.Body) && utf8.ValidString(e.Author))
			require.GreaterOrEqual(t, e.PR, 0)
		}
	})
}

func TestParseLogRefusesHalfARecord(t *testing.T) {
	t.Parallel()
	_, err := parseLog("hash\x00author\x00")
	require.ErrorContains(t, err, "2 fields")
}

func TestOutputIsBounded(t *testing.T) {
	t.Parallel()
	b := &bounded{limit: 3}
	n, err := b.Write([]byte("abcd"))
	require.NoError(t, err)
	require.Equal(t, 4, n)
	require.True(t, b.over)
	require.Equal(t, "abc", b.String())
}

func FuzzParseNumstat(f *testing.F) {
	f.Add("1\t2\ta.txt\x00-\t-\tb c\td\x00")
	f.Add("x\t2\ta\x00")
	f.Add("-\t2\ta\x00")
	f.Fuzz(func(t *testing.T, out string) {
		changes, err := parseNumstat(out)
		if err != nil {
			return
		}
		for _, c := range changes {
			require.NotEmpty(t, c.Path)
			require.True(t, c.Added >= 0 && c.Deleted >= 0)
			require.False(t, c.Binary && c.Added+c.Deleted > 0)
		}
	})
}
