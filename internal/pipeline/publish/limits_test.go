package publish_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

// GitHub's secondary limit often comes without Retry-After: then it is at least
// a minute until the next attempt, and longer until the one after it.
func TestASecondaryLimitWithoutATimeIsWaitedOut(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), plan(t)
	r := w.run(func(next http.Handler) http.Handler {
		return github.RateLimited(next, func(r *http.Request) bool {
			return r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "/assets")
		}, 2, 0)
	})
	_, _, err := r.Fill(t.Context(), p)
	require.NoError(t, err)
	require.Equal(t, []time.Duration{time.Minute, 2 * time.Minute}, r.pauses)
}

// GitHub times out on long pages of releases with many assets, and answers short ones.
func TestAListThatTimesOutIsReadInShorterPages(t *testing.T) {
	t.Parallel()
	w, p := newWorld(t), plan(t)
	_, _, err := w.run(nil).Fill(t.Context(), p)
	require.NoError(t, err)
	var asked []string
	r := w.run(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			size := r.URL.Query().Get("per_page")
			if asked = append(asked, size); size == "30" {
				http.Error(w, "<html><body>We couldn't respond to your request in time.</body></html>", http.StatusGatewayTimeout)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	all, err := r.GitHub.Releases(t.Context())
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, []string{"30", "10"}, asked)
}
