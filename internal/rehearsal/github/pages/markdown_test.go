package pages_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/github/pages"
)

// a is a link as a page has it.
func a(to, text string) string {
	return `<a href="` + to + `" rel="nofollow noreferrer noopener">` + text + `</a>`
}

func TestMarkdown(t *testing.T) {
	t.Parallel()
	const own, another = "/calimero-network/mero-tee/pull/1?q=1#x", "https://github.com/calimero-network/mero-tee-x/y"
	for source, want := range map[string]string{
		"**a** and `b`":                      "<p><strong>a</strong> and <code>b</code></p>",
		"one\ntwo":                           "<p>one<br>\ntwo</p>",
		"~~gone~~":                           "<p><del>gone</del></p>",
		"\tcode\twith":                       "<pre><code>code    with\n</code></pre>",
		"a <b>bold</b>":                      "<p>a &lt;b&gt;bold&lt;/b&gt;</p>",
		"<script>\nx\n</script>\n\nb":        "<pre>&lt;script&gt;\nx\n&lt;/script&gt;\n</pre>\n<p>b</p>",
		"<!-- hidden -->":                    "<pre>&lt;!-- hidden --&gt;</pre>",
		"[a](https://github.com" + own + ")": "<p>" + a(own, "a") + "</p>",
		"[a](" + another + ")":               "<p>" + a(another, "a") + "</p>",
		"https://example.org/a_b":            "<p>" + a("https://example.org/a_b", "https://example.org/a_b") + "</p>",
		"<https://example.org>":              "<p>" + a("https://example.org", "https://example.org") + "</p>",
		"[a](javascript:alert(1))":           "<p>a (javascript:alert(1))</p>",
		"[a](JaVaScRiPt:alert(1))":           "<p>a (JaVaScRiPt:alert(1))</p>",
		"[a](data:text/html,x)":              "<p>a (data:text/html,x)</p>",
		"[a](//example.org/x)":               "<p>a (//example.org/x)</p>",
		"[a](/etc/passwd)":                   "<p>a (/etc/passwd)</p>",
		"[a](https://github.com@b/x)":        "<p>a (https://github.com@b/x)</p>",
		"[a](file:///etc/passwd)":            "<p>a (file:///etc/passwd)</p>",
		"<javascript:alert(1)>":              "<p>javascript:alert(1)</p>",
		"a@example.org":                      "<p>a@example.org</p>",
		"![a *b*](https://example.org/x)":    "<p>[picture: a <em>b</em>] (https://example.org/x)</p>",
	} {
		got, err := site(t).Markdown(source)
		require.NoError(t, err)
		require.Equal(t, want+"\n", string(got), source)
	}
	table, err := site(t).Markdown("| a |\n|--:|\n|1|")
	require.NoError(t, err)
	require.Contains(t, table, `<td align="right">1</td>`, "without a style, which the policy forbids")
}

// requireHarmless: Markdown of others is elements of a text, and links to the web or to the repository's own pages.
func requireHarmless(t testing.TB, s *pages.Site, source string) {
	got, err := s.Markdown(source)
	require.NoError(t, err)
	allowed := strings.Fields("html head body p h1 h2 h3 h4 h5 h6 strong em code pre a ul ol li blockquote br hr del " +
		"table thead tbody tr th td input")
	for _, n := range elements(t, string(got)) {
		require.Contains(t, allowed, n.Data, source)
		for _, attribute := range n.Attr {
			switch n.Data + " " + attribute.Key {
			case "a href":
				u, err := url.Parse(attribute.Val)
				require.NoError(t, err)
				own := u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/"+repository)
				web := (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil
				require.True(t, own || web, attribute.Val)
			case "a rel", "th align", "td align", "ol start", "code class", "input checked", "input disabled", "input type":
			default:
				require.Fail(t, "an attribute", "%s %s of %q", n.Data, attribute.Key, source)
			}
		}
	}
}

func FuzzMarkdown(f *testing.F) {
	notes, err := filepath.Glob("../../../pipeline/notes/testdata/*.md")
	require.NoError(f, err)
	require.NotEmpty(f, notes)
	for _, name := range notes {
		data, err := os.ReadFile(name)
		require.NoError(f, err)
		f.Add(string(data))
	}
	for _, s := range []string{hostile, "[a](https://x\" onclick=x)", "[![a](b)](https://c)", "![[a](https://b)](c)",
		"- [x] done", "```js\n<b>\n```", "1. a\n2. b", "&#x202e; &#0; &Tab;", "[a]: javascript:x\n\n[a]", "<a\nhref=x>"} {
		f.Add(s)
	}
	s := site(f)
	f.Fuzz(func(t *testing.T, source string) { requireHarmless(t, s, source) })
}
