package browser

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"strings"
)

var (
	variable = regexp.MustCompile(`--([\w-]+): (#[0-9a-f]{6});`)
	darkRule = regexp.MustCompile(`@media [^{]*\(prefers-color-scheme: dark\) \{`)
)

// Themes are the colours that a style sheet names, in its light and its dark
// theme; the dark one has what it does not name otherwise from the light one.
func Themes(css string) (light, dark map[string]string, err error) {
	at := darkRule.FindStringIndex(css)
	if at == nil {
		return nil, nil, fmt.Errorf("the style sheet has no dark theme")
	}
	end := strings.Index(css[at[1]:], "\n}")
	if end < 0 {
		return nil, nil, fmt.Errorf("the dark theme has no end")
	}
	light, dark = map[string]string{}, map[string]string{}
	for _, m := range variable.FindAllStringSubmatch(css[:at[0]], -1) {
		light[m[1]] = m[2]
	}
	maps.Copy(dark, light)
	for _, m := range variable.FindAllStringSubmatch(css[at[1]:at[1]+end], -1) {
		dark[m[1]] = m[2]
	}
	return light, dark, nil
}

// Contrast is that of two colours "#rrggbb" by WCAG 2: 1 to 21, whichever is the text.
func Contrast(a, b string) (float64, error) {
	x, err := luminance(a)
	if err != nil {
		return 0, err
	}
	y, err := luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05), err
}

// luminance is the relative luminance of a colour: 0 is black, 1 white.
func luminance(colour string) (float64, error) {
	var r, g, b int
	if n, err := fmt.Sscanf(colour, "#%02x%02x%02x", &r, &g, &b); n != 3 || err != nil {
		return 0, fmt.Errorf("%q is no colour of the form #rrggbb", colour)
	}
	linear := func(v int) float64 {
		x := float64(v) / 255
		if x <= 0.04045 {
			return x / 12.92
		}
		return math.Pow((x+0.055)/1.055, 2.4)
	}
	return 0.2126*linear(r) + 0.7152*linear(g) + 0.0722*linear(b), nil
}
