package github_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// hidden answers 404 for everything, as GitHub does of a private repository to a stranger.
func hidden(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte(`{"message":"Not Found"}`))
	})
}

// refusing answers 401 for everything: nobody could look.
func refusing(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write([]byte(`{"message":"Bad credentials"}`))
	})
}

// "A missing thing is 11; could not look is 1."
func TestMissing(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		wrap  func(http.Handler) http.Handler
		token string
		code  fault.Code
		says  string
	}{
		"no such tag":               {nil, token, fault.MissingAsset, "there is no tag v9 in " + repository},
		"no such tag, for anybody":  {nil, "", fault.MissingAsset, "there is no tag v9 in " + repository},
		"a repository that hides":   {hidden, token, fault.General, "cannot look for tag v9"},
		"a token that is not taken": {refusing, token, fault.General, "github: tag \"v9\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newWorld(t, tc.wrap).client(tc.token)
			_, err := c.TagCommit(t.Context(), "v9")
			err = c.Missing(t.Context(), "tag v9", err)
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
		})
	}
	require.NoError(t, newWorld(t, nil).client("").Missing(t.Context(), "tag v9", nil))
}
