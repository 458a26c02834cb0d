package report_test

import (
	"encoding/base64"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/calimero-network/mero-tee/internal/base/browser"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
)

// One file that asks nobody for anything: each element and attribute is one of our layout's, whatever others wrote.
func TestNothingOfOthersBecomesMarkup(t *testing.T) {
	t.Parallel()
	text := page(t, whole(t))
	require.NotContains(t, text, "<script")
	allowed := strings.Fields("html head meta title link style body a header p h1 h2 h3 h4 div strong ul ol li nav main " +
		"section dl dt dd code br span details summary img table caption thead tbody tr th td pre footer")
	attributes := strings.Fields("lang charset name content http-equiv rel href class id src alt role aria-label " +
		"aria-hidden aria-labelledby tabindex scope style title open")
	for _, n := range elements(t, text) {
		require.Contains(t, allowed, n.Data)
		for _, a := range n.Attr {
			require.Contains(t, attributes, a.Key, "of %s", n.Data)
			switch {
			case a.Key == "href":
				require.True(t, strings.HasPrefix(a.Val, "#") || a.Val == "data:,", a.Val)
			case a.Key == "src":
				require.True(t, strings.HasPrefix(a.Val, "data:image/svg+xml;base64,"), a.Val)
			case a.Key == "style":
				require.Regexp(t, `^left:[0-9.]+%;width:[0-9.]+%$`, a.Val)
			}
		}
	}
}

func TestNoCharacterThatDrawsSomethingElse(t *testing.T) {
	t.Parallel()
	for line := range strings.Lines(page(t, whole(t))) {
		require.NotContains(t, line, "\u202e")
		for _, r := range strings.TrimSuffix(line, "\n") {
			require.True(t, unicode.IsPrint(r), "%q in %q", r, line)
		}
	}
}

// Each part is there, and what others wrote is there as they wrote it.
func TestWhatThePageShows(t *testing.T) {
	t.Parallel()
	all := elements(t, page(t, whole(t)))
	text := shown(all[0])
	for _, want := range []string{
		"mero-tee-v1.4.0", "stopped", "Step node:e2e failed.", "1 check passed", "2 failed", "1 skipped",
		"1 do not apply", "the pair is declared", "Expected: one thing", "Got: another", "Hint: look",
		"a result without a status", "all profiles " + strings.Repeat("33", 48), "RTMR1", strings.Repeat("22", 48),
		"was " + strings.Repeat("44", 48), "2 events", "UKI, Authenticode", "entry 1234", "no verified signature",
		"please look:", "<script>alert(1)</script>", "node:promote not run", "1 min 30 s",
		"go tool mage verify:release mero-tee-v1.4.0",
	} {
		require.Contains(t, text, want)
	}
	image := all[slices.IndexFunc(all, func(n *html.Node) bool { return n.Data == "img" })]
	require.Equal(t, "Compatibility of key service and node image: 1 pair, in words below", attribute(image, "alt"))
	require.Contains(t, text, "Key service 2.0.0 with node image 1.4.0: debug tested")
}

// A value that all profiles have stands there once.
func TestRegistersByValue(t *testing.T) {
	t.Parallel()
	text := page(t, whole(t))
	require.Equal(t, 1, strings.Count(text, strings.Repeat("33", 48)))
	require.Equal(t, 1, strings.Count(text, strings.Repeat("11", 48)))
	require.Equal(t, 1, strings.Count(text, strings.Repeat("22", 48)))
}

// Who does not see the page, has no mouse or no colours, finds the same.
func TestForEveryReader(t *testing.T) {
	t.Parallel()
	all := elements(t, page(t, whole(t)))
	ids := map[string]bool{}
	for _, n := range all {
		if id := attribute(n, "id"); id != "" {
			require.False(t, ids[id], "%s twice", id)
			ids[id] = true
		}
	}
	for _, n := range all {
		if to, ok := strings.CutPrefix(attribute(n, "href"), "#"); ok {
			require.True(t, ids[to], "a link to %s", to)
		}
		if by := attribute(n, "aria-labelledby"); by != "" {
			require.True(t, ids[by], "labelled by %s", by)
		}
		switch n.Data {
		case "img":
			require.NotEmpty(t, attribute(n, "alt"))
		case "th":
			require.NotEmpty(t, attribute(n, "scope"))
		case "html":
			require.Equal(t, "en", attribute(n, "lang"))
		}
		if strings.Contains(attribute(n, "class"), "wide") { // what scrolls can be reached by the keyboard
			require.Equal(t, "0", attribute(n, "tabindex"))
		}
	}
	for _, n := range all {
		if class := attribute(n, "class"); strings.HasPrefix(class, "result") {
			require.Contains(t, []string{"✓ pass", "✗ fail", "– skipped", "· not applicable"}, shown(n))
			require.Contains(t, []string{"result pass", "result fail", "result skipped", "result na"}, class, shown(n))
		}
	}
	for _, s := range []check.Status{check.Passed, check.Failed, check.Skipped, check.Inapplicable} {
		require.Contains(t, shown(all[0]), " "+string(s)+" ", "a status is said in a word")
	}
}

// What a screen reader says of the page's parts: landmarks, headings in order, tables that have names and stay tables
// where a narrow window shows their rows as blocks, a picture with words in it, and a link past what repeats.
func TestThePartsOfThePage(t *testing.T) {
	t.Parallel()
	all := elements(t, page(t, whole(t)))
	count := map[string]int{}
	last := 0
	for _, n := range all {
		count[n.Data]++
		switch n.Data {
		case "h1", "h2", "h3", "h4":
			level := int(n.Data[1] - '0')
			require.LessOrEqual(t, level, last+1, shown(n))
			last = level
		case "table":
			require.Equal(t, "caption", n.FirstChild.NextSibling.Data)
			require.NotEmpty(t, shown(n.FirstChild.NextSibling))
		case "nav", "section":
			require.NotEmpty(t, attribute(n, "aria-label")+attribute(n, "aria-labelledby"), n.Data)
		}
		role := map[string]string{"table": "table", "thead": "rowgroup", "tbody": "rowgroup", "tr": "row",
			"th": "columnheader", "td": "cell"}[n.Data]
		if role != "" {
			require.Equal(t, role, attribute(n, "role"), n.Data)
		}
		if n.Data == "img" {
			requireWords(t, attribute(n, "src"))
		}
	}
	require.Equal(t, []int{1, 1, 1, 1, 1, 2}, []int{count["main"], count["header"], count["footer"], count["nav"],
		count["h1"], count["table"]})
	first := all[slices.IndexFunc(all, func(n *html.Node) bool { return n.Data == "a" })]
	main := all[slices.IndexFunc(all, func(n *html.Node) bool { return n.Data == "main" })]
	require.Equal(t, "#"+attribute(main, "id"), attribute(first, "href"))
	require.Equal(t, "-1", attribute(main, "tabindex"), "the focus goes there")
}

// requireWords: the picture says what it shows to whoever opens it alone.
func requireWords(t *testing.T, address string) {
	t.Helper()
	svg, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(address, "data:image/svg+xml;base64,"))
	require.NoError(t, err)
	require.Contains(t, string(svg), `role="img" aria-labelledby="title desc"`)
	require.Contains(t, string(svg), `<title id="title">Compatibility of key service and node image</title>`)
	require.Contains(t, string(svg), `<desc id="desc">Key service 2.0.0 with node image 1.4.0: debug tested`)
}

// Text can be read in both themes, and what is drawn can be seen (WCAG 2.2, 1.4.3 and 1.4.11).
func TestContrast(t *testing.T) {
	t.Parallel()
	css, err := os.ReadFile("page.css")
	require.NoError(t, err)
	light, dark, err := browser.Themes(string(css))
	require.NoError(t, err)
	for theme, colours := range map[string]map[string]string{"light": light, "dark": dark} {
		for _, below := range []string{"page", "card"} {
			for name, least := range map[string]float64{"ink": 4.5, "dim": 4.5, "good": 4.5, "bad": 4.5, "heed": 4.5,
				"mark": 4.5, "bar": 3} {
				got, err := browser.Contrast(colours[name], colours[below])
				require.NoError(t, err)
				require.GreaterOrEqual(t, got, least, "%s: %s on %s", theme, name, below)
			}
		}
	}
}

// A report of a release that has nothing yet has no empty sections.
func TestNothingYet(t *testing.T) {
	t.Parallel()
	r := &report.Report{Tag: whole(t).Tag, Outcome: report.Outcome{State: report.UnderWay, Words: "0 of 14 steps."}}
	text := shown(elements(t, page(t, r))[0])
	require.Contains(t, text, "Nothing was checked yet.")
	for _, absent := range []string{"Registers", "Compatibility", "Assets and signatures", "Timeline"} {
		require.NotContains(t, text, absent)
	}
}
