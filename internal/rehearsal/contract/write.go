package contract

import (
	"fmt"
	"io"
	"strings"
)

// columns are the table's heads and widths, in characters; the last one is as wide as it needs to be.
var columns = []struct {
	head  string
	width int
}{{"SYSTEM", 16}, {"RULE", 62}, {"HOW SURE", 8}, {"ENFORCED BY", 44}, {"SOURCE", 60}}

// Write prints all rules as one table, then what is known to be missing, then how many there are.
func Write(w io.Writer, contracts []Contract) error {
	var b strings.Builder
	heads := make([]string, len(columns))
	for i, c := range columns {
		heads[i] = c.head
	}
	row(&b, heads)
	rules := 0
	for _, c := range contracts {
		for _, r := range c.Rules {
			row(&b, []string{c.System, r.Text, r.Sure, r.Test, r.Source})
			rules++
		}
	}
	b.WriteString("\nKNOWN TO BE MISSING\n")
	for _, c := range contracts {
		for _, gap := range c.Missing {
			fmt.Fprintf(&b, "%s: %s\n", c.System, gap)
		}
	}
	fmt.Fprintf(&b, "\n%d rules of %d systems\n", rules, len(contracts))
	_, err := io.WriteString(w, b.String())
	return err
}

// row prints one row; a cell that is too long for its column goes on below.
func row(b *strings.Builder, cells []string) {
	wrapped, height := make([][]string, len(cells)), 0
	for i, cell := range cells {
		wrapped[i] = wrap(cell, columns[i].width)
		height = max(height, len(wrapped[i]))
	}
	for y := range height {
		var line strings.Builder
		for i, lines := range wrapped {
			text := ""
			if y < len(lines) {
				text = lines[y]
			}
			fmt.Fprintf(&line, "%-*s  ", columns[i].width, text)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// wrap breaks a text between its words, and a word that is too long after a slash or point, or where it must.
func wrap(text string, width int) (lines []string) {
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len([]rune(line))+1+len([]rune(word)) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
		for len([]rune(line)) > width {
			cut := breakAt([]rune(line), width)
			lines, line = append(lines, string([]rune(line)[:cut])), string([]rune(line)[cut:])
		}
	}
	return append(lines, line)
}

func breakAt(line []rune, width int) int {
	for cut := width; cut > width/2; cut-- {
		if strings.ContainsRune("/.-_", line[cut-1]) {
			return cut
		}
	}
	return width
}
