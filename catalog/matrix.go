package catalog

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/internal/release"
)

// State is what the catalog says of a pair and a profile.
type State int

// The states.
const (
	Unlisted State = iota
	Declared       // listed, not tested
	Tested
)

// String is the state in words.
func (s State) String() string { return [...]string{"not listed", "declared", "tested"}[s] }

func (s State) mark() string { return [...]string{"·", "○", "✓"}[s] }

// Matrix is the catalog as people look at it: KMS versions by node-image
// versions, both newest first.
type Matrix struct {
	KMS, Nodes []release.Version
	left       int // versions of both families that were left out
	entries    map[Pair][]Entry
}

// MaxVersions is how many versions of a family a matrix shows: a picture of 10,000 rows helps nobody.
const MaxVersions = 100

// Matrix arranges the entries of the newest versions, at most MaxVersions of each family.
func (c *Catalog) Matrix() Matrix {
	m := Matrix{entries: c.pairs()}
	for _, e := range c.Entries {
		m.KMS, m.Nodes = append(m.KMS, e.KMS), append(m.Nodes, e.NodeImage)
	}
	m.KMS, m.Nodes = m.newest(m.KMS), m.newest(m.Nodes)
	return m
}

func (m *Matrix) newest(versions []release.Version) []release.Version {
	slices.SortFunc(versions, func(a, b release.Version) int { return b.Compare(a) })
	versions = slices.Compact(versions)
	shown := min(len(versions), MaxVersions)
	m.left += len(versions) - shown
	return versions[:shown]
}

// older says what is left out, "" for nothing.
func (m Matrix) older() string {
	if m.left == 0 {
		return ""
	}
	return fmt.Sprintf("%d older versions are in the catalog only.", m.left)
}

// At is the state of each profile, in the spec's order, and the notes of the pair.
func (m Matrix) At(kms, node release.Version) (states []State, notes string) {
	entries := m.entries[Pair{KMS: kms, NodeImage: node}]
	for _, p := range release.Profiles() {
		state := Unlisted
		for _, e := range entries {
			switch {
			case !slices.Contains(e.Profiles, p):
			case e.Tested:
				state = Tested
			default:
				state = Declared
			}
		}
		states = append(states, state)
	}
	return states, joinNotes(entries)
}

// WriteTable writes the matrix for a terminal: one mark for each profile.
func (m Matrix) WriteTable(w io.Writer) error {
	table := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	line := func(first string, cells []string) {
		// a tabwriter keeps the error for Flush
		_, _ = fmt.Fprintln(table, strings.Join(append([]string{first}, cells...), "\t"))
	}
	header := make([]string, len(m.Nodes))
	for i, node := range m.Nodes {
		header[i] = "node " + node.String()
	}
	line("key service", header)
	for _, kms := range m.KMS {
		cells := make([]string, len(m.Nodes))
		for i, node := range m.Nodes {
			states, _ := m.At(kms, node)
			for _, s := range states {
				cells[i] += s.mark()
			}
		}
		line(kms.String(), cells)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "\n%s tested   %s declared   %s not listed   (one mark per profile: %s)\n", Tested.mark(),
		Declared.mark(), Unlisted.mark(), profileNames())
	if err == nil && m.left > 0 {
		_, err = fmt.Fprintln(w, m.older())
	}
	return err
}

func profileNames() string {
	var names []string
	for _, p := range release.Profiles() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}

// The picture's measures, in pixels.
const (
	margin   = 24
	labelW   = 112 // of the column with the KMS versions
	columnW  = 124
	rowH     = 48
	headH    = 104 // title, axis and node versions
	footH    = 92  // legend
	mark     = 20
	markStep = 28
	minW     = 640 // the title and the legend fit
)

// The colours follow the reader's preference, and no state is told by its colour alone.
//
//nolint:lll // CSS, with a rule in a line
const style = `<style>
  svg { color-scheme: light dark; --page: #ffffff; --ink: #1f2328; --dim: #59636e; --line: #d1d9e0; --row: #f6f8fa; --good: #1a7f37; --onGood: #ffffff; --none: #b0b8c1 }
  @media (prefers-color-scheme: dark) { svg { --page: #0d1117; --ink: #f0f6fc; --dim: #9198a1; --line: #3d444d; --row: #151b23; --good: #3fb950; --onGood: #0d1117; --none: #545d68 } }
  text { font-family: system-ui, -apple-system, "Segoe UI", "Helvetica Neue", Arial, sans-serif; font-size: 13px; fill: var(--ink) }
  .page { fill: var(--page) } .row { fill: var(--row) } .line { stroke: var(--line) }
  .title { font-size: 17px; font-weight: 600 } .axis, .small { fill: var(--dim); font-size: 12px }
  .version { font-variant-numeric: tabular-nums; font-weight: 600 }
  .tested { fill: var(--good) } .check { fill: none; stroke: var(--onGood); stroke-width: 2.2; stroke-linecap: round; stroke-linejoin: round }
  .declared { fill: none; stroke: var(--dim); stroke-width: 1.6 } .unlisted { fill: var(--none) }
</style>
`

type picture struct{ bytes.Buffer }

func (p *picture) add(format string, args ...any) { fmt.Fprintf(p, format, args...) }

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a buffer takes everything
	return b.String()
}

// SVG draws the matrix for the documentation: light and dark, the same bytes for the same catalog.
func (m Matrix) SVG() []byte {
	w := max(minW, 2*margin+labelW+columnW*len(m.Nodes))
	h := headH + rowH*len(m.KMS) + footH
	p := &picture{}
	p.add(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" `+
		`aria-labelledby="title desc">`+"\n", w, h, w, h)
	p.add("<title id=\"title\">Compatibility of key service and node image</title>\n<desc id=\"desc\">%s</desc>\n%s",
		escaped(m.Words()), style)
	p.add(`<rect class="page" width="%d" height="%d" rx="8"/>`+"\n", w, h)
	p.add(`<text class="title" x="%d" y="38">Compatibility of key service and node image</text>`+"\n", margin)
	m.head(p)
	for i, kms := range m.KMS {
		m.row(p, i, kms, w)
	}
	m.foot(p, headH+rowH*len(m.KMS), w)
	p.add("</svg>\n")
	return p.Bytes()
}

func (m Matrix) head(p *picture) {
	p.add(`<text class="axis" x="%d" y="%d">key service</text>`+"\n", margin, headH-12)
	if len(m.Nodes) > 0 {
		p.add(`<text class="axis" x="%d" y="68">node image</text>`+"\n", margin+labelW)
	}
	for i, node := range m.Nodes {
		p.add(`<text class="version" x="%d" y="%d">%s</text>`+"\n", margin+labelW+i*columnW, headH-12, node)
	}
}

func (m Matrix) row(p *picture, i int, kms release.Version, w int) {
	y := headH + i*rowH
	if i%2 == 0 {
		p.add(`<rect class="row" x="%d" y="%d" width="%d" height="%d" rx="4"/>`+"\n", margin-12, y, w-2*(margin-12), rowH)
	}
	p.add(`<text class="version" x="%d" y="%d">%s</text>`+"\n", margin, y+rowH/2+5, kms)
	for j, node := range m.Nodes {
		states, notes := m.At(kms, node)
		p.add("<g><title>%s</title>\n", escaped(words(kms, node, states, notes)))
		for k, s := range states {
			p.mark(s, margin+labelW+j*columnW+k*markStep, y+(rowH-mark)/2)
		}
		p.add("</g>\n")
	}
}

// mark draws a state in a square of its own with the corner at x, y.
func (p *picture) mark(s State, x, y int) {
	switch s {
	case Tested:
		p.add(`<rect class="tested" x="%d" y="%d" width="%d" height="%d" rx="5"/>`, x, y, mark, mark)
		p.add(`<path class="check" d="M%d %dl4 4 7-8"/>`+"\n", x+5, y+10)
	case Declared:
		p.add(`<rect class="declared" x="%d.8" y="%d.8" width="%d.4" height="%d.4" rx="4.5"/>`+"\n", x, y, mark-2, mark-2)
	default:
		p.add(`<circle class="unlisted" cx="%d" cy="%d" r="2"/>`+"\n", x+mark/2, y+mark/2)
	}
}

func (m Matrix) foot(p *picture, y, w int) {
	p.add(`<line class="line" x1="%d" y1="%d" x2="%d" y2="%d"/>`+"\n", margin, y+16, w-margin, y+16)
	for i, s := range []State{Tested, Declared, Unlisted} {
		x := margin + i*128
		p.mark(s, x, y+30)
		p.add(`<text x="%d" y="%d">%s</text>`+"\n", x+mark+8, y+45, s)
	}
	p.add(`<text class="small" x="%d" y="%d">One mark per profile, from left to right: %s.%s</text>`+"\n", margin, y+74,
		profileNames(), strings.TrimRight(" "+m.older(), " "))
}

// Words says the whole matrix to those who do not see it.
func (m Matrix) Words() string {
	var out strings.Builder
	for _, kms := range m.KMS {
		for _, node := range m.Nodes {
			if states, notes := m.At(kms, node); len(m.entries[Pair{KMS: kms, NodeImage: node}]) > 0 {
				out.WriteString(words(kms, node, states, notes) + ". ")
			}
		}
	}
	return out.String()
}

func words(kms, node release.Version, states []State, notes string) string {
	text := fmt.Sprintf("Key service %s with node image %s: ", kms, node)
	for i, p := range release.Profiles() {
		if i > 0 {
			text += ", "
		}
		text += fmt.Sprintf("%s %s", p, states[i])
	}
	if notes != "" {
		text += " (" + notes + ")"
	}
	return text
}
