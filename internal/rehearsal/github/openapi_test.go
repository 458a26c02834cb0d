package github_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	rehearsal "github.com/calimero-network/mero-tee/internal/rehearsal/github"
)

// The server holds each answer to GitHub's description before it sends it; here
// each operation answers once.
func TestAnswersFitGitHubsDescription(t *testing.T) {
	t.Parallel()
	w := newWorld(t, t.TempDir(), prompt)
	rel, asset := w.draft("v2")
	at := fmt.Sprintf("%sreleases/%d", api, rel)
	check := func(r reply) map[string]any {
		t.Helper()
		require.Less(t, r.status, 300, "%s", r.body)
		return r.json(t)
	}
	list := func(r reply) {
		t.Helper()
		require.Equal(t, http.StatusOK, r.status, "%s", r.body)
		require.NotEqual(t, "[]", strings.TrimSpace(string(r.body)))
	}
	check(w.owner("GET", at, "")) // a draft
	check(w.owner("PATCH", at, `{"draft":false}`))
	list(w.do("GET", api+"releases", ""))
	check(w.do("GET", api+"releases/tags/v2", ""))
	check(w.do("GET", fmt.Sprintf("%sreleases/assets/%d", api, asset), ""))
	list(w.do("GET", at+"/assets", ""))
	list(w.do("GET", api+"tags", ""))
	check(w.do("GET", api+"git/ref/tags/v1", ""))
	check(w.owner("POST", api+"git/refs", `{"ref":"refs/heads/change","sha":"`+sha+`"}`))
	tag := check(w.owner("POST", api+"git/tags",
		`{"tag":"v3","message":"m","object":"`+sha+`","type":"commit"}`))
	check(w.do("GET", api+"git/tags/"+tag["sha"].(string), ""))
	file := check(w.do("GET", api+"contents/catalog/c.json?ref=change", ""))
	check(w.owner("PUT", api+"contents/catalog/c.json",
		`{"message":"m","content":"e30=","branch":"change","sha":"`+file["sha"].(string)+`"}`))
	check(w.owner("PUT", api+"contents/new.json", `{"message":"m","content":"e30=","branch":"change"}`))
	parent := w.do("GET", api+"git/ref/heads/change", "").json(t)["object"].(map[string]any)["sha"].(string)
	on := check(w.do("GET", api+"git/commits/"+parent, ""))["tree"].(map[string]any)["sha"].(string)
	tree := check(w.owner("POST", api+"git/trees",
		`{"base_tree":"`+on+`","tree":[{"path":"a/b.json","mode":"100644","type":"blob","content":"{}"}]}`))
	check(w.do("GET", api+"git/trees/change", ""))
	check(w.do("GET", api+"git/trees/"+tree["sha"].(string), ""))
	check(w.do("GET", api+"git/blobs/"+file["sha"].(string), ""))
	made := check(w.owner("POST", api+"git/commits",
		`{"message":"m","tree":"`+tree["sha"].(string)+`","parents":["`+parent+`"]}`))
	check(w.owner("PATCH", api+"git/refs/heads/change", `{"sha":"`+made["sha"].(string)+`"}`))
	pr := check(w.owner("POST", api+"pulls", `{"title":"t","head":"change","base":"main"}`))
	list(w.owner("POST", fmt.Sprintf("%sissues/%.0f/labels", api, pr["number"]), `{"labels":["one"]}`))
	list(w.do("GET", api+"pulls?state=open&head=calimero-network:change", ""))
	w.server.Change(func(s *rehearsal.Settings) { *s = rehearsal.Documented("ann", "ben") })
	require.NoError(t, w.server.SayStatus(sha, "ci", "success", "ann"))
	require.NoError(t, w.server.Conclude(sha, "success"))
	check(w.do("GET", api+"commits/"+sha+"/check-runs?filter=all", ""))
	list(w.do("GET", api+"commits/"+sha+"/statuses", ""))
	list(w.do("GET", api+"rules/branches/main", ""))
	check(w.do("GET", api+"compare/main...change", ""))
	check(w.do("GET", api+"environments/release-auditor", ""))
	run, err := w.server.StartRun(rehearsal.Run{Workflow: "w.yaml", Tag: "v1", Commit: sha, Actor: "ann"})
	require.NoError(t, err)
	require.NoError(t, w.server.Review(run,
		rehearsal.Review{Environment: "release-auditor", By: "ben", State: "approved"}))
	check(w.do("GET", fmt.Sprintf("%sactions/runs/%d", api, run), ""))
	list(w.do("GET", fmt.Sprintf("%sactions/runs/%d/approvals", api, run), ""))
}
