package steps

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

func tag(t *testing.T, s string) release.Tag {
	t.Helper()
	out, err := release.ParseTag(s)
	require.NoError(t, err)
	return out
}

func declared(t *testing.T, pairs ...[2]string) *catalog.Catalog {
	t.Helper()
	c := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion, Entries: []catalog.Entry{}}
	for _, p := range pairs {
		var err error
		c, err = catalog.Declare(c, catalog.PairOf(tag(t, "mero-kms-v"+p[0]), tag(t, "mero-tee-v"+p[1])), "")
		require.NoError(t, err)
	}
	return c
}

func TestOtherPairs(t *testing.T) {
	t.Parallel()
	c := declared(t, [2]string{"1.2.0", "1.2.0"}, [2]string{"1.2.0", "1.1.0"}, [2]string{"1.1.0", "1.2.0"},
		[2]string{"1.1.0", "1.1.0"})
	c, err := catalog.MarkTested(c, catalog.PairOf(tag(t, "mero-kms-v1.2.0"), tag(t, "mero-tee-v1.1.0")),
		[]release.Profile{release.Debug}, "")
	require.NoError(t, err)
	for _, kms := range []string{"mero-kms-v1.2.0", "mero-kms-v1.2.0-rc.3"} {
		pairs := otherPairs(c, tag(t, kms), tag(t, "mero-tee-v1.2.0"))
		require.Len(t, pairs, 2, "neither the pair itself nor one without either side")
		require.Equal(t, tag(t, kms), pairs[0].kms)
		require.Equal(t, tag(t, "mero-tee-v1.1.0"), pairs[0].node)
		require.ElementsMatch(t, release.Profiles(), pairs[0].profiles, "both entries of the pair")
		require.True(t, pairs[0].tested)
		require.Equal(t, tag(t, "mero-kms-v1.1.0"), pairs[1].kms)
		require.Equal(t, tag(t, "mero-tee-v1.2.0"), pairs[1].node)
		require.False(t, pairs[1].tested)
	}
}

func TestAPairWithoutARelease(t *testing.T) {
	t.Parallel()
	l := listed{kms: tag(t, "mero-kms-v1.2.0"), node: tag(t, "mero-tee-v1.1.0")}
	require.Equal(t, check.Inapplicable, l.absent(l.node).Status, "declared ahead of its release")
	l.tested = true
	require.Error(t, l.absent(l.node).Err(), "tested once, and gone")
}

func TestMarkTestedTakesWhatPassed(t *testing.T) {
	t.Parallel()
	kms, node, older := tag(t, "mero-kms-v1.2.0"), tag(t, "mero-tee-v1.2.0"), tag(t, "mero-tee-v1.1.0")
	before := declared(t, [2]string{"1.2.0", "1.2.0"}, [2]string{"1.2.0", "1.1.0"})
	c, _, err := catalog.Update(before, before, before, trials(e2e.Matrix{
		{KMS: kms, Node: node, Profile: release.Debug, Result: check.Passed},
		{KMS: kms, Node: node, Profile: release.LockedReadOnly, Result: check.Failed},
		{KMS: kms, Node: older, Profile: release.Debug, Result: check.Failed},
	}))
	require.NoError(t, err)
	entries := c.Find(kms.Version, node.Version)
	require.Len(t, entries, 2)
	require.Equal(t, []release.Profile{release.Debug}, entries[0].Profiles)
	require.True(t, entries[0].Tested)
	require.False(t, c.Find(kms.Version, older.Version)[0].Tested)
}

func TestDrills(t *testing.T) {
	t.Parallel()
	results := check.Fire(Drills())
	require.Len(t, results, 3)
	require.NoError(t, results.Err())
}
