package e2e

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Matrix is guardrail A's table: which key service gave its key to which node.
// What is not in it is not listed in the catalog.
type Matrix []Cell

// Cell is one profile of one pair.
type Cell struct {
	KMS     release.Tag     `json:"kms"`
	Node    release.Tag     `json:"node"`
	Profile release.Profile `json:"profile"`
	Result  check.Status    `json:"result"`
	Policy  string          `json:"policy,omitempty"` // of a service that did not have its released one
}

// Write renders a row for each KMS version and profile, a column for each
// node version, newest first; "-" stands where the catalog lists nothing.
func (m Matrix) Write(w io.Writer) error {
	services := versions(m, func(c Cell) release.Tag { return c.KMS })
	nodes := versions(m, func(c Cell) release.Tag { return c.Node })
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	_, _ = fmt.Fprint(t, "key service\tprofile")
	for _, n := range nodes {
		_, _ = fmt.Fprintf(t, "\tnode %s", n.Version)
	}
	_, _ = fmt.Fprintln(t)
	for _, k := range services {
		for _, p := range release.Profiles() {
			m.row(t, k, p, nodes)
		}
	}
	return t.Flush()
}

func (m Matrix) row(t io.Writer, kms release.Tag, p release.Profile, nodes []release.Tag) {
	_, _ = fmt.Fprintf(t, "%s\t%s", kms.Version, p)
	for _, n := range nodes {
		_, _ = fmt.Fprintf(t, "\t%s", m.at(kms, n, p))
	}
	_, _ = fmt.Fprintln(t)
}

func (m Matrix) at(kms, node release.Tag, p release.Profile) check.Status {
	i := slices.IndexFunc(m, func(c Cell) bool { return c.KMS == kms && c.Node == node && c.Profile == p })
	if i < 0 {
		return "-"
	}
	return m[i].Result
}

// Passed lists the profiles of a pair whose nodes got their keys.
func (m Matrix) Passed(kms, node release.Tag) []release.Profile {
	var out []release.Profile
	for _, p := range release.Profiles() {
		if m.at(kms, node, p) == check.Passed {
			out = append(out, p)
		}
	}
	return out
}

// versions are the tags that of picks, each once, newest first.
func versions(m Matrix, of func(Cell) release.Tag) []release.Tag {
	var out []release.Tag
	for _, c := range m {
		if !slices.Contains(out, of(c)) {
			out = append(out, of(c))
		}
	}
	slices.SortFunc(out, func(a, b release.Tag) int { return b.Version.Compare(a.Version) })
	return out
}

// Pair is a key service and a node release that the catalog lists together.
// Guardrail A: "test the new KMS version against all listed compatible
// node-image versions (and vice versa)".
type Pair struct {
	KMS      *Release // whose Updated admits Node if that is its Node
	Node     *measurement.Published
	Profiles []release.Profile // that the catalog lists
}

// cell is one profile of a pair.
type cell struct {
	Pair
	profile release.Profile
}

// others are the cells that are tried besides the release with its counterpart.
func (t *Run) others() []cell {
	var out []cell
	for _, pair := range t.Others {
		for _, p := range pair.Profiles {
			if slices.Contains(t.Profiles, p) {
				out = append(out, cell{pair, p})
			}
		}
	}
	return out
}

// cells are the pairs of guardrail A: the release with its counterpart, and the others.
func (t *Run) cells() []cell {
	var out []cell
	for _, p := range t.Profiles {
		out = append(out, cell{Pair{KMS: &t.Release, Node: t.Release.Node}, p})
	}
	return append(out, t.others()...)
}

func (c cell) name(v *service) string {
	return fmt.Sprintf("%s gives a node of %s its key", v.title(), c.Node.Tag)
}
