package github

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Whatever a server says, the token is sent to GitHub's API and uploads alone.
func FuzzAddressesFromAnswers(f *testing.F) {
	for _, s := range []string{`<https://api.github.com/repos/a/b/tags?page=2>; rel="next"`,
		"https://uploads.github.com/x{?name,label}",
		`<https://api.github.com@evil.example/>; rel="next"`, `<https://api.github.com/a>; title="b, <c>"; Rel="last NEXT"`,
		`<a>; rel=x, <https://evil.example/>; rel=next`, `<>;;=,<`, "https://uploads.github.com@evil.example/{?name}",
		"https://uploads.github.com:1/"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if next, err := sameAPI([]string{s}); err == nil && next != "" {
			if u, err := url.Parse(next); err == nil {
				require.Equal(t, apiHost, u.Hostname())
			}
		}
		if target, err := uploadURL(s, "a.json"); err == nil {
			u, err := url.Parse(target)
			require.NoError(t, err)
			require.Equal(t, uploadHost, u.Host)
		}
		if ValidAssetName(s) == nil {
			require.False(t, strings.ContainsAny(s, "/\\\x00") || strings.HasPrefix(s, "."))
		}
	})
}
