package catalog_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/release"
)

const many = 10_000

// huge is a catalog of many pairs, each of versions of its own, the largest that a matrix can be.
func huge(tb testing.TB) *catalog.Catalog {
	tb.Helper()
	c := &catalog.Catalog{SchemaVersion: catalog.SchemaVersion}
	for i := range many {
		v := release.Version{Major: 1, Minor: many - i}
		c.Entries = append(c.Entries, catalog.Entry{KMS: v, NodeImage: v, Profiles: release.Profiles(), Tested: true,
			Notes: "E2E passed"})
	}
	require.NoError(tb, c.Check())
	return c
}

func TestAHugeCatalog(t *testing.T) {
	t.Parallel()
	c := huge(t)
	next := release.Version{Major: 2}
	merged, err := catalog.Declare(c, catalog.Pair{KMS: next, NodeImage: next}, "")
	require.NoError(t, err)
	require.Len(t, merged.Entries, many+1)
	m := merged.Matrix()
	require.Len(t, m.KMS, catalog.MaxVersions)
	require.Equal(t, next, m.KMS[0], "the newest are shown")
	var table bytes.Buffer
	require.NoError(t, m.WriteTable(&table))
	const left = "19802 older versions are in the catalog only."
	require.Equal(t, 1, strings.Count(table.String(), left))
	require.Equal(t, 1, strings.Count(string(m.SVG()), left))
	require.NotContains(t, string(hugeBy(t, 3).Matrix().SVG()), "older versions")
}

// What is new, and whether every tag is there, is found by one walk: for each pair one took a minute.
func TestWhatIsNewInAHugeCatalog(t *testing.T) {
	t.Parallel()
	c := huge(t)
	require.Len(t, c.Additions(nil), many)
	require.Empty(t, c.Additions(c))
	added := c.Additions(hugeBy(t, many-1))
	require.Len(t, added, 1)
	require.False(t, added[0].Listed)
	data, err := c.Encode()
	require.NoError(t, err)
	require.NoError(t, catalog.Inspect(data, tagsOf(c)).Err())
	require.Error(t, catalog.Inspect(data, tagsOf(hugeBy(t, many-1))).Err())
}

func tagsOf(c *catalog.Catalog) (tags []release.Tag) {
	for _, e := range c.Entries {
		tags = append(tags, release.Tag{Family: release.KMS, Version: e.KMS},
			release.Tag{Family: release.Node, Version: e.NodeImage})
	}
	return tags
}

func BenchmarkAdditions(b *testing.B) {
	c := huge(b)
	for b.Loop() {
		require.Empty(b, c.Additions(c))
	}
}

func BenchmarkInspect(b *testing.B) {
	c := huge(b)
	data, err := c.Encode()
	require.NoError(b, err)
	tags := tagsOf(c)
	for b.Loop() {
		require.NoError(b, catalog.Inspect(data, tags).Err())
	}
}

func hugeBy(t testing.TB, n int) *catalog.Catalog {
	t.Helper()
	c := huge(t)
	c.Entries = c.Entries[:n]
	return c
}

func BenchmarkDecode(b *testing.B) {
	data, err := huge(b).Encode()
	require.NoError(b, err)
	for b.Loop() {
		_, err := catalog.Decode(data)
		require.NoError(b, err)
	}
}

func BenchmarkMerge(b *testing.B) {
	c := huge(b)
	for b.Loop() {
		_, err := catalog.Declare(c, catalog.Pair{KMS: release.Version{Major: 2}, NodeImage: release.Version{Major: 2}}, "")
		require.NoError(b, err)
	}
}

func BenchmarkSVG(b *testing.B) {
	c := huge(b)
	for b.Loop() {
		require.NotEmpty(b, c.Matrix().SVG())
	}
}
