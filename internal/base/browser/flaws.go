package browser

import (
	_ "embed"
)

//go:embed flaws.js
var flaws string

// Flaws are what a reader would stumble over in the page as it is shown, a
// sentence each: more width than the window has, text with a contrast below
// 4.5, what scrolls out of the keyboard's reach, headings that leave out a level,
// tables without a name, no main part, no language.
func (tab *Tab) Flaws() (out []string) {
	tab.b.t.Helper()
	tab.Eval(flaws, &out)
	return out
}

// Stop is a place where the focus rests.
type Stop struct {
	Name    string // the element's: "a#top", and its text or label
	Visible bool   // a ring or another mark shows that the focus is there
	Inside  bool   // it is in the window, or was scrolled there
}

const focused = `(() => {
  const e = document.activeElement;
  if (!e || e === document.body) return null;
  const style = getComputedStyle(e), box = e.getBoundingClientRect();
  const text = e.getAttribute("aria-label") || e.textContent.trim().replace(/\s+/g, " ").slice(0, 60);
  return {
    Name: e.tagName.toLowerCase() + " " + text,
    Visible: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0,
    Inside: box.right > 0 && box.bottom > 0 && box.left < innerWidth && box.top < innerHeight,
  };
})()`

// Stops walks through the page by the keyboard, at most so many steps.
func (tab *Tab) Stops(most int) (out []Stop) {
	tab.b.t.Helper()
	for range most {
		tab.Tabulator()
		var at *Stop
		tab.Eval(focused, &at)
		if at == nil { // the page's end
			break
		}
		out = append(out, *at)
	}
	return out
}

// Roles counts what a screen reader finds in the page, by the role: "table", "row", "main".
func (tab *Tab) Roles() map[string]int {
	tab.b.t.Helper()
	var tree struct {
		Nodes []struct {
			Ignored bool
			Role    struct{ Value string }
		}
	}
	tab.call("Accessibility.getFullAXTree", object{}, &tree)
	out := map[string]int{}
	for _, n := range tree.Nodes {
		if !n.Ignored {
			out[n.Role.Value]++
		}
	}
	return out
}
