package pages_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMarkdown(t *testing.T) {
	t.Parallel()
	for source, want := range map[string]string{
		"**a** and `b`":                      "<p><strong>a</strong> and <code>b</code></p>\n",
		"one\ntwo":                           "<p>one<br>\ntwo</p>\n",
		"~~gone~~":                           "<p><del>gone</del></p>\n",
		"| a |\n|--:|\n|1|":                  "<table>\n<thead>\n<tr>\n<th align=\"right\">a</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td align=\"right\">1</td>\n</tr>\n</tbody>\n</table>\n", //nolint:lll // goldmark's lines
		"\tcode\twith":                       "<pre><code>code    with\n</code></pre>\n",
		"a <b>bold</b>":                      "<p>a &lt;b&gt;bold&lt;/b&gt;</p>\n",
		"<script>\nalert(1)\n</script>\n\nb": "<pre>&lt;script&gt;\nalert(1)\n&lt;/script&gt;\n</pre>\n<p>b</p>\n",
		"<!-- hidden -->":                    "<pre>&lt;!-- hidden --&gt;</pre>\n",
		"[a](https://github.com/calimero-network/mero-tee/pull/1?q=1#x)": "<p><a href=\"/calimero-network/mero-tee/pull/1?q=1#x\"" + rel + ">a</a></p>\n",          //nolint:lll // one line
		"[a](https://github.com/calimero-network/mero-tee-x/y)":          "<p><a href=\"https://github.com/calimero-network/mero-tee-x/y\"" + rel + ">a</a></p>\n", //nolint:lll // one line
		"https://example.org/a_b":                                        "<p><a href=\"https://example.org/a_b\"" + rel + ">https://example.org/a_b</a></p>\n",
		"<https://example.org>":                                          "<p><a href=\"https://example.org\"" + rel + ">https://example.org</a></p>\n",
		"[a](javascript:alert(1))":                                       "<p>a (javascript:alert(1))</p>\n",
		"[a](JaVaScRiPt:alert(1))":                                       "<p>a (JaVaScRiPt:alert(1))</p>\n",
		"[a](data:text/html,x)":                                          "<p>a (data:text/html,x)</p>\n",
		"[a](//example.org/x)":                                           "<p>a (//example.org/x)</p>\n",
		"[a](/etc/passwd)":                                               "<p>a (/etc/passwd)</p>\n",
		"[a](https://github.com@b/x)":                                    "<p>a (https://github.com@b/x)</p>\n",
		"[a](file:///etc/passwd)":                                        "<p>a (file:///etc/passwd)</p>\n",
		"<javascript:alert(1)>":                                          "<p>javascript:alert(1)</p>\n",
		"a@example.org":                                                  "<p>a@example.org</p>\n",
		"![a *b*](https://example.org/x.png)":                            "<p>[picture: a <em>b</em>] (https://example.org/x.png)</p>\n",
	} {
		got, err := site(t).Markdown(source)
		require.NoError(t, err)
		require.Equal(t, want, string(got), source)
	}
}

const rel = ` rel="nofollow noreferrer noopener"`

// requireHarmless: Markdown of others is elements of a text, and links to the web or to the repository's own pages.
func requireHarmless(t testing.TB, source string) {
	got, err := site(t).Markdown(source)
	require.NoError(t, err)
	allowed := strings.Fields("html head body p h1 h2 h3 h4 h5 h6 strong em code pre a ul ol li blockquote br hr del table " +
		"thead tbody tr th td input")
	for _, n := range elements(t, string(got)) {
		require.Contains(t, allowed, n.Data, source)
		for _, a := range n.Attr {
			switch n.Data + " " + a.Key {
			case "a href":
				u, err := url.Parse(a.Val)
				require.NoError(t, err)
				own := u.Scheme == "" && u.Host == "" && strings.HasPrefix(u.Path, "/"+repository)
				require.True(t, own || (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil, a.Val)
			case "a rel", "th align", "td align", "ol start", "code class", "input checked", "input disabled", "input type":
			default:
				require.Fail(t, "an attribute", "%s %s of %q", n.Data, a.Key, source)
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
	f.Fuzz(func(t *testing.T, source string) { requireHarmless(t, source) })
}
