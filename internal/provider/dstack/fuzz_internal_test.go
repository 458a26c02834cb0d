package dstack

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// What a provider says is repeated as text, of a bounded length.
func FuzzWords(f *testing.F) {
	for _, s := range []string{`{"detail":"no"}`, `{"detail":{"error_code":"E","message":"m","suggestions":["s"]}}`,
		`{"detail":[{"loc":["body",1],"msg":"wrong"}]}`, `{"message":"m"}`, `{"error":"e"}`, "<html>", `{"detail":null}`, "",
		"a" + strings.Repeat("ü", 300)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		said, _ := words(body)
		require.LessOrEqual(t, len(said), 400)
		if utf8.Valid(body) {
			require.True(t, utf8.ValidString(said), "%q", said)
		}
	})
}
