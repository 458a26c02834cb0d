package github_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/github"
)

func TestAccess(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header string
		push   bool
		want   []string
	}{
		"classic":      {"repo, write:packages", true, []string{"repo", "write:packages"}},
		"no scope":     {"", true, nil},
		"a reader's":   {"public_repo", false, []string{"public_repo"}},
		"fine-grained": {"", false, nil},
	} {
		w := newWorld(t, func(http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
				rw.Header().Set("X-OAuth-Scopes", tc.header)
				fmt.Fprintf(rw, `{"permissions":{"push":%t}}`, tc.push)
			})
		})
		got, err := w.client(token).Access(t.Context())
		require.NoError(t, err, name)
		require.Equal(t, github.Access{Push: tc.push, Scopes: tc.want}, got, name)
	}
}

func TestAccessOfATokenThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(h http.Handler) http.Handler { return h })
	_, err := w.client("another").Access(t.Context())
	require.ErrorContains(t, err, "Bad credentials")
	got, err := w.client(token).Access(t.Context())
	require.NoError(t, err)
	require.True(t, got.Push)
	require.Contains(t, got.Scopes, "repo")
}
