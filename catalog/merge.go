package catalog

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Declare lists a pair for all profiles, untested, as a pull request does
// before a release. A pair that is listed keeps what is known about it.
func Declare(c *Catalog, p Pair, notes string) (*Catalog, error) {
	return Merge(c, []Entry{{KMS: p.KMS.Final(), NodeImage: p.NodeImage.Final(), Profiles: release.Profiles(),
		Notes: notes}})
}

// MarkTested records that E2E passed for the pair and the profiles. A pair in
// which either side is a release candidate changes nothing: its E2E ran on
// other bytes than the version it is a candidate for will have.
func MarkTested(c *Catalog, p Pair, profiles []release.Profile, notes string) (*Catalog, error) {
	if p.KMS.IsCandidate() || p.NodeImage.IsCandidate() {
		return Merge(c, nil)
	}
	return Merge(c, []Entry{{KMS: p.KMS, NodeImage: p.NodeImage, Profiles: inOrder(profiles), Tested: true, Notes: notes}})
}

// Merge returns the catalog with the entries added; c and entries are left as
// they were. It is idempotent, its result does not depend on the order of the
// entries but for the order of notes, and it loses nothing: no pair, no
// profile, no note, and what was tested stays tested.
func Merge(c *Catalog, entries []Entry) (*Catalog, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	all := slices.Clone(c.Entries)
	for i, e := range entries {
		if err := e.check(); err != nil {
			return nil, fmt.Errorf("new entry %d: %w", i, err)
		}
		all = append(all, e)
	}
	slices.SortStableFunc(all, func(a, b Entry) int { return newestFirst(a.pair(), b.pair()) })
	out := &Catalog{SchemaVersion: c.SchemaVersion, Entries: []Entry{}}
	for len(all) > 0 {
		n := 1
		for n < len(all) && all[n].pair() == all[0].pair() {
			n++
		}
		out.Entries = append(out.Entries, unite(all[:n])...)
		all = all[n:]
	}
	return out, out.Check()
}

// unite makes of all entries of one pair, in the order in which they came, at
// most two: one for the profiles that were tested, one for those that were
// only declared. A declaration that is wholly tested leaves its notes to the
// tested entry.
func unite(same []Entry) []Entry {
	tested, declared := join(same, true), join(same, false)
	declared.Profiles = slices.DeleteFunc(declared.Profiles,
		func(p release.Profile) bool { return slices.Contains(tested.Profiles, p) })
	switch {
	case len(tested.Profiles) == 0:
		return []Entry{declared}
	case len(declared.Profiles) == 0:
		tested.Notes = joinNotes(same)
		return []Entry{tested}
	}
	return []Entry{tested, declared}
}

// join makes one entry of those that were tested, or of those that were not.
func join(same []Entry, tested bool) Entry {
	ours := slices.DeleteFunc(slices.Clone(same), func(e Entry) bool { return e.Tested != tested })
	out := Entry{KMS: same[0].KMS, NodeImage: same[0].NodeImage, Tested: tested, Notes: joinNotes(ours)}
	for _, e := range ours {
		out.Profiles = inOrder(slices.Concat(out.Profiles, e.Profiles))
	}
	return out
}

const noteSeparator = "; "

// joinNotes keeps the first entry's notes and appends what they do not say yet.
func joinNotes(entries []Entry) string {
	if len(entries) == 0 {
		return ""
	}
	var notes []string
	if entries[0].Notes != "" {
		notes = []string{entries[0].Notes}
	}
	said := map[string]bool{"": true}
	for _, n := range strings.Split(entries[0].Notes, noteSeparator) {
		said[n] = true
	}
	for _, e := range entries[1:] {
		for _, n := range strings.Split(e.Notes, noteSeparator) {
			if !said[n] {
				notes, said[n] = append(notes, n), true
			}
		}
	}
	return strings.Join(notes, noteSeparator)
}
