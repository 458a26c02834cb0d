package browser_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/browser"
)

// shown opens a page with this body.
func shown(t *testing.T, b *browser.Browser, body string, v browser.View) *browser.Tab {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, `<!doctype html><html lang="en"><link rel="icon" href="data:,"><main>`+body+`</main></html>`)
	}))
	t.Cleanup(server.Close)
	return b.Open(server.URL, v)
}

// What is looked at is a page as the person has it: width, theme, scripts' results, words on the console.
func TestOpen(t *testing.T) {
	t.Parallel()
	tab := shown(t, browser.Start(t), `<p>Hello</p><script>console.log("a word")</script><img src="/missing.png" alt="x">`,
		browser.View{Width: 390, Dark: true})
	var text string
	tab.Eval(`document.querySelector("p").textContent + innerWidth + matchMedia("(prefers-color-scheme: dark)").matches`,
		&text)
	require.Equal(t, "Hello390true", text)
	require.Contains(t, strings.Join(tab.Console(), "\n"), "a word")
	require.Contains(t, strings.Join(tab.Console(), "\n"), "404")
	require.Len(t, tab.Asked(), 2, "the page and the picture")
	require.Contains(t, string(tab.Screenshot()), "PNG")
	require.Contains(t, string(tab.PDF()), "%PDF")
}

// Each flaw is found where it is, and none where there is none.
func TestFlaws(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	for body, want := range map[string]string{
		`<h1>Good</h1><h2>Too</h2><p>Text</p>`:                                      "",
		`<h1>A</h1><div style="width:600px">x</div>`:                                "wider than the window",
		`<h1>A</h1><p style="color:#999">x</p>`:                                     "p has a contrast of 2.85",
		`<h1>A</h1><h3>B</h3>`:                                                      `h3 "B" follows a heading of level 1`,
		`<h1>A</h1><div style="overflow-x:auto"><p style="width:900px">x</p></div>`: "div scrolls",
		`<h1>A</h1><table><tr><td>x</td></tr></table>`:                              "a table has no name",
		`<h1>A</h1></main><main>`:                                                   "not one main part",
	} {
		got := shown(t, b, body, browser.View{Width: 390}).Flaws()
		if want == "" {
			require.Empty(t, got, body)
			continue
		}
		require.Len(t, got, 1, "%s: %s", body, got)
		require.Contains(t, got[0], want)
	}
}

func TestStops(t *testing.T) {
	t.Parallel()
	tab := shown(t, browser.Start(t), `<a href="#x">One</a><a href="#y" style="outline:none">Two</a>`+
		`<div tabindex="0" aria-label="Three"></div>`, browser.View{Width: 390})
	require.Equal(t, []browser.Stop{{Name: "a One", Visible: true, Inside: true}, {Name: "a Two", Inside: true},
		{Name: "div Three", Visible: true, Inside: true}}, tab.Stops(10))
}
