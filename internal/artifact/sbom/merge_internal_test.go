package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spdx/tools-golang/spdx"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
)

func document(t testing.TB) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", "small.spdx.json"))
	require.NoError(t, err)
	return data
}

func profileSources() []Source {
	return []Source{{Label: "debug", sha: strings.Repeat("d1", 32)},
		{Label: "locked-read-only", sha: strings.Repeat("d2", 32)}}
}

// merged merges two copies of one document, as if two profiles held the same.
func merged(data []byte) ([]byte, error) {
	o := Options{Name: "mero-kms", Version: "1.2.0", Sources: profileSources(), Epoch: time.Unix(1, 0)}
	var docs []*spdx.Document
	for range o.Sources {
		doc, err := read(data)
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	doc, err := merge(o, docs)
	if err != nil {
		return nil, err
	}
	return canonical.Marshal(doc)
}

func TestMergeKeepsTheProfilesApart(t *testing.T) {
	t.Parallel()
	data, err := merged(document(t))
	require.NoError(t, err)
	require.NoError(t, Check(data))
	doc, err := read(data)
	require.NoError(t, err)
	require.Len(t, doc.Packages, 4, "two roots, each with its module")
	require.Len(t, doc.Files, 2)
	require.Len(t, doc.OtherLicenses, 1, "a licence that both name stands once")
	require.Len(t, described(doc), 2)
	require.Equal(t, "1970-01-01T00:00:01Z", doc.CreationInfo.Created)
}

func TestMergeRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func(*spdx.Document)
		want  string
	}{
		"two elements of one name": {func(d *spdx.Document) { d.OtherLicenses[0].ExtractedText = "other" },
			"two different elements are called"},
		"nothing described": {func(d *spdx.Document) { d.Relationships = nil }, "describes 0 packages"},
		"two described": {func(d *spdx.Document) { d.Relationships = append(d.Relationships, d.Relationships[0]) },
			"describes 2 packages"},
		"no creationInfo": {func(d *spdx.Document) { d.CreationInfo = nil }, "without creationInfo"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole, err := read(document(t))
			require.NoError(t, err)
			spoiled, err := read(document(t))
			require.NoError(t, err)
			tc.spoil(spoiled)
			_, err = merge(Options{Sources: profileSources()}, []*spdx.Document{whole, spoiled})
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func FuzzMerge(f *testing.F) {
	var seed bytes.Buffer
	require.NoError(f, json.Compact(&seed, document(f)))
	f.Add(seed.Bytes())
	f.Fuzz(func(t *testing.T, in []byte) {
		first, err := merged(in)
		if err != nil {
			return
		}
		again, err := merged(in)
		require.NoError(t, err)
		require.Equal(t, string(first), string(again))
		if Check(in) == nil {
			require.NoError(t, Check(first), "merging does not spoil a good document")
		}
	})
}
