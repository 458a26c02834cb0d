package checksum_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/checksum"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

var (
	ones = strings.Repeat("1", 64)
	abcs = strings.Repeat("abcdef01", 8)
	good = ones + "  a.txt\n" + abcs + "  b.txt\n"
)

func TestParse(t *testing.T) {
	t.Parallel()
	entries, err := checksum.Parse([]byte(good))
	require.NoError(t, err)
	require.Len(t, entries, 2)
	require.Equal(t, "b.txt", entries[1].Name)
	require.Equal(t, byte(0xef), entries[1].Digest[2])
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ in, want string }{
		"empty":                 {"", "lists nothing"},
		"blank line":            {good + "\n", "line 3: does not begin"},
		"no newline at the end": {strings.TrimSuffix(good, "\n"), "does not end in a newline"},
		"CRLF":                  {strings.ReplaceAll(good, "\n", "\r\n"), "not a plain file name"},
		"upper-case hex":        {strings.ToUpper(abcs) + "  a\n", "line 1: the digest has upper-case digits"},
		"not hex":               {strings.Repeat("g", 64) + "  a\n", "line 1: the digest"},
		"short digest":          {ones[1:] + "  a\n", "does not begin with 64 hex digits"},
		"long digest":           {ones + "1  a\n", "does not begin with 64 hex digits"},
		"SHA-512":               {ones + ones + "  a\n", "does not begin with 64 hex digits"},
		"one space":             {ones + " a\n", "one space where there must be two"},
		"tab":                   {ones + "\ta\n", "does not begin"},
		"three spaces":          {ones + "   a\n", `" a" is not a plain file name`},
		"binary marker":         {ones + " *a\n", "mark of binary mode"},
		"escaped line":          {`\` + ones + `  a\\b` + "\n", "does not begin"},
		"BSD form":              {"SHA256 (a) = " + ones + "\n", "does not begin"},
		"comment":               {"# made by hand\n" + good, "line 1: does not begin"},
		"no name":               {ones + "  \n", `"" is not a plain file name`},
		"duplicate name":        {ones + "  a\n" + abcs + "  a\n", "a is listed twice"},
		"path separator":        {ones + "  ../a\n", "not a plain file name"},
		"absolute path":         {ones + "  /etc/passwd\n", "not a plain file name"},
		"backslash":             {ones + `  a\b` + "\n", "not a plain file name"},
		"NUL":                   {ones + "  a\x00\n", "not a plain file name"},
		"trailing space":        {ones + "  a \n", "not a plain file name"},
		"trailing garbage":      {good + "x", "does not end in a newline"},
		"itself":                {ones + "  checksums.sha256\n", "cannot list itself"},
		"order":                 {ones + "  b\n" + abcs + "  a\n", "line 2: a is not in the order of names"},
		"too large":             {strings.Repeat("\n", checksum.MaxSize+1), "more than the"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := checksum.Parse([]byte(tc.in))
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(good))
	f.Add([]byte(abcs + " *a\n"))
	f.Add([]byte(ones + "  a\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		entries, err := checksum.Parse(in)
		if err != nil {
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			return
		}
		require.Equal(t, string(in), string(checksum.Format(entries)), "one set of digests has one form")
	})
}
