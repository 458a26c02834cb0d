package catalog

import (
	"slices"

	"github.com/calimero-network/mero-tee/internal/release"
)

// Trial is what E2E says of a pair: the profiles in which it passed.
type Trial struct {
	Pair
	Profiles []release.Profile
}

// Update is the newest catalog with what E2E tested. The newest one decides:
// its pairs, notes and profiles stay, whatever a released commit held.
//
// tagged is what the released commit held: of a pair that the newest catalog
// never had, such as one that a hotfix declared on its own branch, its entries
// come with their notes. past is what the newest catalog once held: a pair that
// is in it and not in the newest was taken out by people. Such a pair is not put
// back, it is named in removed.
func Update(newest, tagged, past *Catalog, trials []Trial) (out *Catalog, removed []Pair, err error) {
	if out, err = Merge(newest, nil); err != nil {
		return nil, nil, err
	}
	for _, t := range trials {
		if len(t.Profiles) == 0 || t.KMS.IsCandidate() || t.NodeImage.IsCandidate() {
			continue // a candidate's E2E ran on other bytes than the version that it is a candidate for
		}
		if len(newest.Find(t.KMS, t.NodeImage)) == 0 {
			if len(past.Find(t.KMS, t.NodeImage)) > 0 {
				removed = append(removed, t.Pair)
				continue
			}
			if out, err = Merge(out, tagged.Find(t.KMS, t.NodeImage)); err != nil {
				return nil, nil, err
			}
		}
		if out, err = MarkTested(out, t.Pair, t.Profiles, ""); err != nil {
			return nil, nil, err
		}
	}
	return out, removed, nil
}

// TestedIn says in which profiles the pair is listed as tested.
func (c *Catalog) TestedIn(p Pair) []release.Profile { return testedIn(c.Find(p.KMS, p.NodeImage)) }

func testedIn(entries []Entry) (out []release.Profile) {
	for _, e := range entries {
		if e.Tested {
			out = append(out, e.Profiles...)
		}
	}
	return out
}

// pairs are the entries by their pair.
func (c *Catalog) pairs() map[Pair][]Entry {
	out := map[Pair][]Entry{}
	for _, e := range c.Entries {
		out[e.pair()] = append(out[e.pair()], e)
	}
	return out
}

// TestedWith lists the pairs of a release that are tested in every profile.
func (c *Catalog) TestedWith(t release.Tag) []Pair {
	var out []Pair
	for _, e := range c.Entries {
		own := e.NodeImage
		if t.Family == release.KMS {
			own = e.KMS
		}
		if own == t.Version && e.Tested && len(e.Profiles) == len(release.Profiles()) {
			out = append(out, e.pair())
		}
	}
	return out
}

// Addition is what a catalog says and an earlier one does not: a pair that was
// not listed, or profiles of a pair that were not tested.
type Addition struct {
	Pair
	Listed bool              // the pair was listed before
	Tested []release.Profile // that were not tested before
}

// Additions lists them in the catalog's order. A nil earlier catalog held nothing.
func (c *Catalog) Additions(before *Catalog) []Addition {
	if before == nil {
		before = &Catalog{}
	}
	var out []Addition
	now, then := c.pairs(), before.pairs()
	for _, e := range c.Entries {
		if n := len(out); n > 0 && out[n-1].Pair == e.pair() {
			continue // the second entry of the pair
		}
		a := Addition{Pair: e.pair(), Listed: len(then[e.pair()]) > 0}
		known := testedIn(then[a.Pair])
		a.Tested = slices.DeleteFunc(testedIn(now[a.Pair]),
			func(p release.Profile) bool { return slices.Contains(known, p) })
		if !a.Listed || len(a.Tested) > 0 {
			out = append(out, a)
		}
	}
	return out
}

// Tags are the two releases of the pair.
func (p Pair) Tags() (kms, node release.Tag) {
	return release.Tag{Family: release.KMS, Version: p.KMS}, release.Tag{Family: release.Node, Version: p.NodeImage}
}
