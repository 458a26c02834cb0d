package catalog

import (
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
	catalog    *Catalog
}

// Matrix arranges the entries.
func (c *Catalog) Matrix() Matrix {
	m := Matrix{catalog: c}
	for _, e := range c.Entries {
		m.KMS, m.Nodes = append(m.KMS, e.KMS), append(m.Nodes, e.NodeImage)
	}
	m.KMS, m.Nodes = newest(m.KMS), newest(m.Nodes)
	return m
}

func newest(versions []release.Version) []release.Version {
	slices.SortFunc(versions, func(a, b release.Version) int { return b.Compare(a) })
	return slices.Compact(versions)
}

// At is the state of each profile, in the spec's order, and the notes of the pair.
func (m Matrix) At(kms, node release.Version) (states []State, notes string) {
	entries := m.catalog.Find(kms, node)
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
		_, _ = fmt.Fprintln(table, strings.Join(append([]string{first}, cells...), "\t")) // a tabwriter keeps the error for Flush
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
	_, err := fmt.Fprintf(w, "\n%s tested   %s declared   %s not listed   (one mark per profile: %s)\n", Tested.mark(), Declared.mark(), Unlisted.mark(), profileNames())
	return err
}

func profileNames() string {
	var names []string
	for _, p := range release.Profiles() {
		names = append(names, string(p))
	}
	return strings.Join(names, ", ")
}
