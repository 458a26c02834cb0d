package pages_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/calimero-network/mero-tee/internal/base/browser"
	"github.com/calimero-network/mero-tee/internal/rehearsal/github/pages"
)

const repository = "calimero-network/mero-tee"

// hostile is what others may write into a title, a message, a file or a comment.
const hostile = "x\" onload=alert(1) '><script>alert(1)</script><img src=https://example.org/x onerror=alert(2)>" +
	"{{.Title}}<!--</style></pre>\x1b[2J\u202egnp.\u200b"

func site(t testing.TB) *pages.Site {
	t.Helper()
	s, err := pages.New(repository)
	require.NoError(t, err)
	return s
}

// written is a page as a browser gets it.
func written(t testing.TB, content any) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	site(t).Write(w, http.StatusOK, pages.Page{Title: hostile, Content: content})
	require.Equal(t, http.StatusOK, w.Code, "%s", w.Body)
	return w
}

// elements are all of a document, in order.
func elements(t testing.TB, text string) (out []*html.Node) {
	t.Helper()
	root, err := html.Parse(strings.NewReader(text))
	require.NoError(t, err)
	for n := range root.Descendants() {
		if n.Type == html.ElementNode {
			out = append(out, n)
		}
	}
	return out
}

// shown is the text of a document, its white space as a reader sees it.
func shown(t testing.TB, text string) string {
	t.Helper()
	var b strings.Builder
	for _, e := range elements(t, text) {
		for n := range e.ChildNodes() {
			if n.Type == html.TextNode && e.Data != "style" && e.Data != "title" {
				b.WriteString(n.Data)
			}
		}
	}
	return b.String()
}

// contents has every kind of page, with hostile text wherever others write.
func contents() map[string]any {
	sha, checks := strings.Repeat("ab", 20), []pages.Check{{Name: hostile, By: hostile, State: hostile, Status: true,
		Description: hostile}, {Name: "ci", By: "github-actions", State: "success"}}
	files := pages.Changes(map[string][]byte{"a": []byte("1\n"), hostile: []byte("1\t" + hostile + "\n")},
		map[string][]byte{"b": {0}, hostile: []byte("2\t" + hostile + "\n")}, sha)
	release := pages.Release{Name: hostile, Tag: "v1", Latest: true, Prerelease: true, Published: "2026-11-28T01:02:03Z",
		Commit: sha, Notes: "# " + hostile + "\n\n" + hostile, Checks: checks,
		Assets: []pages.Asset{{Name: hostile, Size: 7, Digest: "sha256:" + strings.Repeat("ef", 32)}}}
	pull := pages.Pull{Number: 7, Title: hostile, Body: hostile, Head: hostile, Base: "main", Commit: sha, State: "open",
		Created: "2026-11-28T01:02:03Z", Labels: []string{hostile}, Files: files, Checks: checks}
	return map[string]any{
		"releases": pages.Releases{List: []pages.Release{release, {Tag: "v0"}}}, "no releases": pages.Releases{},
		"release": release, "an empty release": pages.Release{Tag: "v0"},
		"tags": pages.Tags{List: []pages.Tag{{Name: hostile, Commit: sha, Released: true}}}, "no tags": pages.Tags{},
		"pulls": pages.Pulls{List: []pages.Pull{pull}}, "no pulls": pages.Pulls{},
		"pull": pull, "a merged pull": pages.Pull{Number: 8, State: "merged"},
		"commit": pages.Commit{SHA: sha, Message: hostile + "\n\n" + hostile, Parents: []string{sha}, Refs: []string{hostile},
			Files: files, Checks: checks},
		"run": pages.Run{ID: 9, Workflow: hostile, Tag: "v1", Commit: sha, Actor: hostile, Attempt: 2,
			Reviews: []pages.Review{{Environment: hostile, By: hostile, State: "rejected", Comment: hostile}}},
		"source":  pages.SourceOf(hostile, sha, []byte("\t"+hostile)),
		"missing": pages.Missing{Path: hostile},
	}
}

// Each element, attribute and address is one of the layout's, whatever others wrote; no character draws something else.
func TestNothingOfOthersBecomesMarkup(t *testing.T) {
	t.Parallel()
	allowed := strings.Fields("html head meta title link style body a header p nav ul li main section h1 h2 h3 h4 span " +
		"code time table caption thead tbody tr th td details summary div pre br")
	attributes := strings.Fields("lang charset name content rel href class id aria-label aria-labelledby aria-current " +
		"datetime scope role tabindex open")
	for name, content := range contents() {
		text := written(t, content).Body.String()
		for line := range strings.Lines(text) {
			for _, r := range strings.TrimSuffix(line, "\n") {
				require.True(t, unicode.IsPrint(r), "%s: %q in %q", name, r, line)
			}
		}
		for _, n := range elements(t, text) {
			require.Contains(t, allowed, n.Data, name)
			for _, a := range n.Attr {
				require.Contains(t, attributes, a.Key, "%s: of %s", name, n.Data)
				if a.Key == "href" {
					require.Regexp(t, `^(/`+repository+`/|#main$|#h-assets$|data:,$)`, a.Val, name)
				}
			}
		}
		if !strings.Contains(name, " ") { // the others have nothing of others but the title
			require.Contains(t, shown(t, text), "<script>alert(1)</script>", name)
		}
	}
}

// The policy lets the browser use the page's own style, and nothing else.
func TestThePolicyIsThePagesOwn(t *testing.T) {
	t.Parallel()
	w := written(t, pages.Releases{})
	all := elements(t, w.Body.String())
	at := slices.IndexFunc(all, func(n *html.Node) bool { return n.Data == "style" })
	require.Equal(t, pages.Policy([]byte(all[at].FirstChild.Data)), w.Header().Get("Content-Security-Policy"))
	require.NotContains(t, w.Header().Get("Content-Security-Policy"), "unsafe")
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
		"Cross-Origin-Resource-Policy": "same-origin", "Cache-Control": "no-store",
		"Content-Type": "text/html; charset=utf-8"} {
		require.Equal(t, want, w.Header().Get(name))
	}
}

// Text can be read in both themes, the lines of a difference too.
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("style.css")
	require.NoError(t, err)
	light, dark, err := browser.Themes(string(css))
	require.NoError(t, err)
	for theme, colours := range map[string]map[string]string{"light": light, "dark": dark} {
		for below, names := range map[string][]string{"added": {"ink", "dim"}, "removed": {"ink", "dim"},
			"page": {"ink", "dim", "good", "bad", "heed", "mark", "done"}, "card": {"ink", "dim", "good", "bad"}} {
			for _, name := range names {
				got, err := browser.Contrast(colours[name], colours[below])
				require.NoError(t, err)
				require.GreaterOrEqual(t, got, 4.5, "%s: %s on %s", theme, name, below)
			}
		}
	}
}

func TestOutcomes(t *testing.T) {
	t.Parallel()
	for state, want := range map[string]string{"success": "passed", "neutral": "passed", "queued": "waiting",
		"pending": "waiting", "failure": "failed", "cancelled": "failed", "stale": "failed", "": "failed"} {
		require.Equal(t, want, pages.Check{State: state}.Outcome(), state)
	}
}

func TestSource(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a\n", pages.SourceOf("p", "c", []byte("a\n")).Text)
	for name, content := range map[string][]byte{"no text": {0xff}, "a zero": {'a', 0}, "too long": make([]byte, 2<<20)} {
		got := pages.SourceOf("p", "c", content)
		require.True(t, got.Binary, name)
		require.Empty(t, got.Text, name)
		require.Contains(t, shown(t, written(t, got).Body.String()), "It is no text", name)
	}
}
