package propose

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Released are the policies of key services that are out.
type Released map[release.Tag]map[release.Profile]*policies.Policy

// Effects are what a revocation stops, and what goes on until somebody acts.
type Effects struct {
	nodes     map[release.Tag][]release.Profile // that get no keys any more
	admitting map[release.Tag][]release.Profile // key services that go on giving them
	looked    int                               // at how many key services
	pairs     []catalog.Entry
}

// Effects says what the revocation of the target means, after it: for nodes, for
// the key services that are out, and for the pairs of the catalog. It holds for a
// target that was revoked already, too.
func (t Target) Effects(before, after Set, out Released, pairs *catalog.Catalog) Effects {
	e := Effects{nodes: map[release.Tag][]release.Profile{}, admitting: map[release.Tag][]release.Profile{},
		looked: len(out)}
	for _, p := range release.Profiles() {
		revoked := slices.DeleteFunc(slices.Clone(after[p].Revoked),
			func(r policies.Revocation) bool { return !t.matches(r.NodeRelease, r.Registers) })
		e.stop(p, revoked, before[p].Measurements)
		for _, kms := range inOrder(out) {
			policy := out[kms][p]
			if policy == nil {
				continue
			}
			if len(policy.StillAdmits(revoked)) > 0 {
				e.admitting[kms] = append(e.admitting[kms], p)
			}
			e.stop(p, revoked, policy.Measurements)
		}
	}
	for _, entry := range pairs.Entries {
		profiles := e.nodes[release.Tag{Family: release.Node, Version: entry.NodeImage}]
		if slices.ContainsFunc(entry.Profiles, func(p release.Profile) bool { return slices.Contains(profiles, p) }) {
			e.pairs = append(e.pairs, entry)
		}
	}
	return e
}

// stop notes the releases of the revoked tuples, and of equal ones of others.
func (e *Effects) stop(p release.Profile, revoked []policies.Revocation, tuples []policies.Measurement) {
	add := func(node release.Tag) {
		if !node.IsZero() && !slices.Contains(e.nodes[node], p) {
			e.nodes[node] = append(e.nodes[node], p)
		}
	}
	for _, r := range revoked {
		add(r.NodeRelease)
		for _, m := range tuples {
			if m.Registers == r.Registers {
				add(m.NodeRelease)
			}
		}
	}
}

// Lines say it to a person, the operator's part last.
func (e Effects) Lines() []string {
	var out []string
	for _, node := range inOrder(e.nodes) {
		out = append(out, fmt.Sprintf("stops nodes of %s: %s", node, release.ProfileList(e.nodes[node])))
	}
	services := inOrder(e.admitting)
	for _, kms := range services {
		out = append(out, fmt.Sprintf("%s was released before and still admits them: %s", kms,
			release.ProfileList(e.admitting[kms])))
	}
	next := "merge this, release a key service with the new policies, and move each of these to it (policy:migrate): a " +
		"policy that is out does not change, and until then they go on giving keys"
	if len(services) == 0 {
		out = append(out, fmt.Sprintf("none of %d released key services admits them", e.looked))
		next = "merge this: no later policy will admit them"
	}
	for _, entry := range e.pairs {
		state := "declared"
		if entry.Tested {
			state = "tested"
		}
		out = append(out, fmt.Sprintf("the catalog lists %s (%s: %s)", entry, state, release.ProfileList(entry.Profiles)))
	}
	out = append(out, "to do: "+next)
	if len(e.pairs) > 0 {
		out = append(out, "to do: say in the notes of the next release that the pairs above are not to be used; "+
			"the catalog is a record")
	}
	return out
}

// Markdown is Lines for a page.
func (e Effects) Markdown() string {
	return "\n## What it stops\n\n- " + strings.Join(e.Lines(), "\n- ") + "\n"
}

// inOrder are the releases, oldest first.
func inOrder[T any](of map[release.Tag]T) []release.Tag {
	return slices.SortedFunc(maps.Keys(of), func(a, b release.Tag) int { return a.Version.Compare(b.Version) })
}
