package catalog_test

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

const (
	debug  = release.Debug
	middle = release.DebugReadOnly
	locked = release.LockedReadOnly
)

func TestMerge(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		before *catalog.Catalog
		add    []catalog.Entry
		want   *catalog.Catalog
	}{
		"nothing": {of(entry("1.0.0", "1.0.0", true, "a; a", debug)), nil,
			of(entry("1.0.0", "1.0.0", true, "a; a", debug))},
		"into empty": {of(), []catalog.Entry{entry("1.0.0", "1.0.0", false, "a", debug)},
			of(entry("1.0.0", "1.0.0", false, "a", debug))},
		"newest first": {of(entry("1.0.0", "1.0.0", true, "", debug)),
			[]catalog.Entry{entry("1.0.0", "0.9.0", true, "", debug), entry("1.10.0", "1.0.0", true, "", debug)},
			of(entry("1.10.0", "1.0.0", true, "", debug), entry("1.0.0", "1.0.0", true, "", debug),
				entry("1.0.0", "0.9.0", true, "", debug))},
		"declared, tested": {of(entry("1.0.0", "1.0.0", false, "first", debug, middle, locked)),
			[]catalog.Entry{entry("1.0.0", "1.0.0", true, "E2E", debug, middle, locked)},
			of(entry("1.0.0", "1.0.0", true, "first; E2E", debug, middle, locked))},
		"partly tested": {of(entry("1.0.0", "1.0.0", false, "first", debug, middle, locked)),
			[]catalog.Entry{entry("1.0.0", "1.0.0", true, "E2E", locked)},
			of(entry("1.0.0", "1.0.0", true, "E2E", locked), entry("1.0.0", "1.0.0", false, "first", debug, middle))},
		"rest tested": {of(entry("1.0.0", "1.0.0", true, "E2E", locked),
			entry("1.0.0", "1.0.0", false, "first", debug)), []catalog.Entry{entry("1.0.0", "1.0.0", true, "more", debug)},
			of(entry("1.0.0", "1.0.0", true, "E2E; first; more", debug, locked))},
		"tested stays": {of(entry("1.0.0", "1.0.0", true, "E2E", debug, locked)), []catalog.Entry{
			entry("1.0.0", "1.0.0", false, "again", locked)}, of(entry("1.0.0", "1.0.0", true, "E2E; again", debug, locked))},
		"profile joins": {of(entry("1.0.0", "1.0.0", true, "a", locked)), []catalog.Entry{
			entry("1.0.0", "1.0.0", true, "b", debug)}, of(entry("1.0.0", "1.0.0", true, "a; b", debug, locked))},
		"note within a note": {of(entry("1.0.0", "1.0.0", true, "abc", locked)),
			[]catalog.Entry{entry("1.0.0", "1.0.0", true, "b", locked)}, of(entry("1.0.0", "1.0.0", true, "abc; b", locked))},
		"empty notes": {of(entry("1.0.0", "1.0.0", true, "", locked)), []catalog.Entry{entry("1.0.0", "1.0.0", true, "b",
			locked), entry("1.0.0", "1.0.0", true, "", locked)}, of(entry("1.0.0", "1.0.0", true, "b", locked))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			before := of(slices.Clone(tc.before.Entries)...)
			got, err := catalog.Merge(tc.before, tc.add)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			require.Equal(t, before, tc.before, "the catalog given is left alone")
			again, err := catalog.Merge(got, tc.add)
			require.NoError(t, err)
			require.Equal(t, got, again, "idempotent")
		})
	}
}

func TestMergeRefusesABrokenEntry(t *testing.T) {
	t.Parallel()
	_, err := catalog.Merge(of(), []catalog.Entry{entry("1.0.0-rc.1", "1.0.0", true, "", debug)})
	require.ErrorContains(t, err, "new entry 0: a release candidate")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

// Whatever is merged in whatever order: nothing that was said before is unsaid.
func TestMergeLosesNothing(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	c, said := of(), []catalog.Entry{}
	for range 300 {
		e := catalog.Entry{KMS: release.Version{Major: 1, Minor: r.IntN(3)}, NodeImage: release.Version{Major: 1,
			Minor: r.IntN(3)}, Tested: r.IntN(2) == 0, Notes: string(rune('a' + r.IntN(26)))}
		e.Profiles = slices.DeleteFunc(release.Profiles(),
			func(p release.Profile) bool { return p != locked && r.IntN(2) == 0 })
		said = append(said, e)
		var err error
		c, err = catalog.Merge(c, []catalog.Entry{e})
		require.NoError(t, err)
		again, err := catalog.Merge(c, []catalog.Entry{e})
		require.NoError(t, err)
		require.Equal(t, c, again)
		for _, s := range said {
			requireSaid(t, c, s)
		}
	}
}

func requireSaid(t *testing.T, c *catalog.Catalog, s catalog.Entry) {
	t.Helper()
	entries, notes := c.Find(s.KMS, s.NodeImage), ""
	require.NotEmpty(t, entries)
	for _, e := range entries {
		notes += e.Notes
	}
	require.Contains(t, notes, s.Notes)
	for _, p := range s.Profiles {
		require.True(t, slices.ContainsFunc(entries,
			func(e catalog.Entry) bool { return slices.Contains(e.Profiles, p) && (e.Tested || !s.Tested) }), "%s %v", p, s)
	}
}

func TestDeclareAndMarkTested(t *testing.T) {
	t.Parallel()
	pair := catalog.Pair{KMS: version("1.0.0"), NodeImage: version("1.0.0")}
	c, err := catalog.Declare(of(), catalog.Pair{KMS: version("1.0.0-rc.2"), NodeImage: version("1.0.0")}, "first")
	require.NoError(t, err)
	require.Equal(t, of(entry("1.0.0", "1.0.0", false, "first", release.Profiles()...)), c)

	same, err := catalog.MarkTested(c, catalog.Pair{KMS: version("1.0.0-rc.2"), NodeImage: version("1.0.0")},
		release.Profiles(), "E2E")
	require.NoError(t, err)
	require.Equal(t, c, same, "a candidate's E2E says nothing about the final version")

	tested, err := catalog.MarkTested(c, pair, []release.Profile{locked, middle, debug}, "E2E")
	require.NoError(t, err)
	require.Equal(t, of(entry("1.0.0", "1.0.0", true, "first; E2E", release.Profiles()...)), tested)

	again, err := catalog.Declare(tested, pair, "first")
	require.NoError(t, err)
	require.Equal(t, tested, again, "what was tested stays tested")
	_, err = catalog.MarkTested(c, pair, nil, "E2E")
	require.Error(t, err, "tested for no profile")
}
