package report_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/browser"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
	"github.com/calimero-network/mero-tee/internal/release"
)

// A browser shows the page without a word on its console and without asking for
// anything else, at every width, in both themes and in print, and shows in it
// what a reader looks for.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	large := whole(t)
	large.Pairs = manyPairs()
	print := browser.View{Width: 768, Dark: true, Media: "print"}
	for name, views := range map[string][]browser.View{"hostile text": append(browser.Views(), print),
		"10,000 pairs": {{Width: 390}, print}} {
		r := map[string]*report.Report{"hostile text": whole(t), "10,000 pairs": large}[name]
		address := serve(t, page(t, r))
		tab := b.Open(address, browser.View{Width: 390})
		for _, v := range views {
			tab.Show(v)
			require.Empty(t, tab.Flaws(), "%s, %s", name, v)
		}
		var colours string
		tab.Eval(`getComputedStyle(document.body).backgroundColor`, &colours)
		require.Equal(t, "rgb(255, 255, 255)", colours, "paper is white, whatever the person prefers on a screen")
		require.Empty(t, tab.Console(), "the browser has something to say")
		require.Equal(t, []string{address}, tab.Asked()[:1], "the page")
		for _, asked := range tab.Asked()[1:] {
			require.True(t, strings.HasPrefix(asked, "data:"), asked)
		}
		var text string
		tab.Eval(`document.body.textContent + document.querySelectorAll("script").length`, &text)
		require.Contains(t, text, "UKI, Authenticode", "an event of a register")
		require.Contains(t, text, "<script>alert(1)</script>", "as text")
		require.True(t, strings.HasSuffix(text, "0"), "no script")
		var drawn bool
		tab.Eval(`document.querySelector("img").naturalWidth > 0`, &drawn)
		require.True(t, drawn, "the matrix")
	}
}

// The keyboard reaches each link, each fold and whatever scrolls, in the order of the page, and shows where it is.
func TestByKeyboard(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	stops := b.Open(serve(t, page(t, whole(t))), browser.View{Width: 390}).Stops(60)
	var names []string
	for _, s := range stops {
		require.True(t, s.Visible && s.Inside, "%+v", s)
		names = append(names, s.Name)
	}
	require.Equal(t, "a To the report", names[0])
	order := []string{"a What was released", "a How to verify", "summary 1 commit", "summary ✓ 1 passed", "div Matrix",
		"summary In words", "summary 2 events", "div Table of assets"}
	at := 0
	for _, name := range names {
		if at < len(order) && name == order[at] {
			at++
		}
	}
	require.Equal(t, len(order), at, "%v in the order %v", names, order)
}

// A narrow window shows the rows of tables as blocks, and they are rows of a table all the same.
func TestTablesStayTables(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	tab := b.Open(serve(t, page(t, whole(t))), browser.View{Width: 390})
	roles := tab.Roles()
	require.Equal(t, 2, roles["table"])
	require.Equal(t, 2+2+3, roles["row"], "two heads, two assets, three steps")
	require.Equal(t, 4+3, roles["columnheader"])
	require.Equal(t, 2*4+3*3, roles["cell"])
	for _, landmark := range []string{"main", "navigation", "banner", "contentinfo"} {
		require.Equal(t, 1, roles[landmark], landmark)
	}
}

// What a broken page would write on the console is seen.
func TestABrowserSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := browser.Start(t)
	text := strings.Replace(page(t, whole(t)), "<main ", `<img src="https://example.org/x"><main `, 1)
	said := strings.Join(b.Open(serve(t, text), browser.View{Width: 390}).Console(), "\n")
	require.Contains(t, said, "Content Security Policy")
}

// serve answers with the page alone.
func serve(t *testing.T, text string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = fmt.Fprint(w, text)
	}))
	t.Cleanup(server.Close)
	return server.URL + "/"
}

func manyPairs() *catalog.Catalog {
	out := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion}
	for kms := range 100 {
		for node := range 100 {
			out.Entries = append(out.Entries, catalog.Entry{KMS: release.Version{Major: 1, Minor: kms},
				NodeImage: release.Version{Major: 1, Minor: node}, Profiles: release.Profiles(), Tested: true, Notes: hostile})
		}
	}
	return out
}
