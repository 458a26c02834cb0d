package browser_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/browser"
)

func TestContrast(t *testing.T) {
	t.Parallel()
	for pair, want := range map[[2]string]float64{{"#000000", "#ffffff"}: 21, {"#ffffff", "#ffffff"}: 1,
		{"#767676", "#ffffff"}: 4.54, {"#0000ff", "#ffffff"}: 8.59} {
		got, err := browser.Contrast(pair[0], pair[1])
		require.NoError(t, err)
		require.InDelta(t, want, got, 0.01, pair)
		turned, err := browser.Contrast(pair[1], pair[0])
		require.NoError(t, err)
		require.InDelta(t, got, turned, 1e-9)
	}
	for _, colour := range []string{"", "red", "#fff", "#gggggg"} {
		_, err := browser.Contrast(colour, "#000000")
		require.Error(t, err, colour)
		_, err = browser.Contrast("#000000", colour)
		require.Error(t, err, colour)
	}
}

func TestThemes(t *testing.T) {
	t.Parallel()
	light, dark, err := browser.Themes(":root { --a: #111111; --b: #222222; }\n" +
		"@media screen and (prefers-color-scheme: dark) {\n  :root { --a: #333333; }\n}\np { --c: #444444; }\n")
	require.NoError(t, err)
	require.Equal(t, map[string]string{"a": "#111111", "b": "#222222"}, light)
	require.Equal(t, map[string]string{"a": "#333333", "b": "#222222"}, dark)
	for _, css := range []string{":root { --a: #111111; }", "@media (prefers-color-scheme: dark) { :root { } }"} {
		_, _, err := browser.Themes(css)
		require.Error(t, err, css)
	}
}
