package github_test

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

func TestReadsAreLateAfterAPublication(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir())
	rel, asset := w.draft("v1")
	at := fmt.Sprintf("%sreleases/%d", api, rel)
	require.Equal(t, false, w.owner("PATCH", at, `{"draft":false}`).json(t)["draft"], "who publishes knows it")
	for _, url := range []string{api + "releases/tags/v1", api + "git/ref/tags/v1", web + "releases/download/v1/a.json",
		fmt.Sprintf("%sreleases/assets/%d", api, asset)} {
		require.Equal(t, http.StatusNotFound, w.owner("GET", url, "").status, url)
		require.Equal(t, http.StatusNotFound, w.owner("GET", url, "").status, url)
		require.Less(t, w.owner("GET", url, "").status, 400, url)
	}
	require.Equal(t, true, w.owner("GET", at, "").json(t)["draft"], "as it was")
	require.Equal(t, http.StatusNotFound, w.do("GET", at, "").status)
	require.Equal(t, false, w.do("GET", at, "").json(t)["draft"])
	require.Contains(t, string(w.owner("GET", api+"releases", "").body), `"draft":true`)
	require.JSONEq(t, "[]", string(w.do("GET", api+"releases", "").body))
	require.Contains(t, string(w.do("GET", api+"releases", "").body), `"draft":false`)
}

func TestAnHoursRequestsAreCounted(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC)
	w := newWorld(t, t.TempDir(), func(o *rehearsal.Options) { o.PerHour, o.Now = 2, func() time.Time { return now } })
	one, other := w.job(permissions{"contents": "read"}), w.job(permissions{"contents": "write"})
	first := w.as(one, "GET", api+"tags", "")
	require.Equal(t, http.StatusOK, first.status)
	require.Equal(t, "1", first.header.Get("X-RateLimit-Remaining"))
	require.Equal(t, http.StatusOK, w.as(other, "GET", api+"tags", "").status)
	over := w.as(one, "GET", api+"tags", "")
	require.Equal(t, http.StatusForbidden, over.status, "all jobs of a repository share them")
	require.Contains(t, over.json(t)["message"], "API rate limit exceeded for installation ID")
	require.Equal(t, "0", over.header.Get("X-RateLimit-Remaining"))
	require.Equal(t, strconv.FormatInt(now.Add(time.Hour).Unix(), 10), over.header.Get("X-RateLimit-Reset"))
	require.Empty(t, over.header.Get("Retry-After"))
	require.Equal(t, http.StatusForbidden, w.as(one, "POST", uploads+"releases/1/assets?name=a", "x").status)
	require.Equal(t, http.StatusOK, w.owner("GET", api+"tags", "").status, "people have their own")
	require.NotEqual(t, http.StatusForbidden, w.do("GET", web+"releases/download/v1/a", "").status, "downloads are free")
	now = now.Add(time.Hour)
	require.Equal(t, http.StatusOK, w.as(one, "GET", api+"tags", "").status, "another hour")
	require.Equal(t, http.StatusOK, w.as(one, "GET", api+"tags", "").status)
	require.Equal(t, http.StatusForbidden, w.as(one, "GET", api+"tags", "").status)
	require.Equal(t, 3, w.server.NextHour(), "those refused count")
	require.Equal(t, http.StatusOK, w.as(one, "GET", api+"tags", "").status, "a rehearsal's next hour")

	w = newWorld(t, t.TempDir())
	for limit, token := range map[string]string{"1000": w.job(nil), "5000": token} {
		require.Equal(t, limit, w.as(token, "GET", api+"tags", "").header.Get("X-RateLimit-Limit"))
	}
	require.Equal(t, "60", w.do("GET", api+"tags", "").header.Get("X-RateLimit-Limit"))
}

func TestALongPageOfReleasesWithManyAssetsFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), func(o *rehearsal.Options) { o.PageAssets = 1 })
	rel, _ := w.draft("v1")
	require.Equal(t, http.StatusCreated,
		w.owner("POST", fmt.Sprintf("%sreleases/%d/assets?name=b", uploads, rel), "x").status)
	require.Equal(t, http.StatusBadGateway, w.owner("GET", api+"releases?per_page=100", "").status)
	w.draft("v2")
	require.Equal(t, http.StatusOK, w.owner("GET", api+"releases?per_page=1", "").status, "the newest alone")
}
