package report_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
)

// One file that asks nobody for anything: each element and attribute is one of our layout's, whatever others wrote.
func TestNothingOfOthersBecomesMarkup(t *testing.T) {
	t.Parallel()
	text := page(t, whole(t))
	require.NotContains(t, text, "<script")
	allowed := strings.Fields("html head meta title link style body a header p h1 h2 h3 h4 div strong ul ol li nav main " +
		"section dl dt dd code br span details summary img table thead tbody tr th td pre footer")
	attributes := strings.Fields("lang charset name content http-equiv rel href class id src alt role aria-label " +
		"aria-labelledby tabindex scope style title open")
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
	require.Contains(t, attribute(image, "alt"), "Key service 2.0.0 with node image 1.4.0: debug tested")
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
	for _, s := range []check.Status{check.Passed, check.Failed, check.Skipped, check.Inapplicable} {
		require.Contains(t, shown(all[0]), " "+string(s)+" ", "a status is said in a word")
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
