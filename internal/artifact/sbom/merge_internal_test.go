package sbom

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spdx/tools-golang/spdx"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
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
	o := Options{Name: "mero-kms", Version: "1.2.0", Repository: "owner/name",
		Sources: profileSources(), Epoch: time.Unix(1, 0)}
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

// What syft cannot see: its maker is no author, a program without modules is no package, and nobody supplies anything.
func TestMergeSaysWhoSuppliesWhat(t *testing.T) {
	t.Parallel()
	foreign := bytes.ReplaceAll(document(t), []byte("Organization: calimero-network"),
		[]byte("Organization: Anchore, Inc"))
	doc, err := read(foreign)
	require.NoError(t, err)
	program := Package{Name: "node_exporter", Version: "1", URL: "pkg:generic/node_exporter@1", Supplier: "maker",
		SHA256: digest.Of([]byte("program")), From: "https://example.org/x"}
	unknown := Package{Name: "own", Version: "2", URL: "pkg:generic/own@2", SHA256: digest.Of([]byte("own"))}
	uuid := Package{Name: "github.com/google/uuid", Version: "v1.6.0", URL: "pkg:golang/github.com/google/uuid@v1.6.0",
		Supplier: "somebody"}
	image := digest.Of([]byte("image"))
	made, err := merge(Options{Name: "mero-tee", Version: "1.2.0", Repository: "owner/name", Epoch: time.Unix(1, 0),
		Sources: []Source{{Label: "debug", sha: image.Hex(), known: []Package{program, uuid, unknown}}}},
		[]*spdx.Document{doc})
	require.NoError(t, err)
	data, err := canonical.Marshal(made)
	require.NoError(t, err)
	require.NoError(t, Check(data))
	listed, err := Read(data)
	require.NoError(t, err)
	require.NoError(t, listed.Check(image, []Package{unknown, uuid, program}))
	require.NoError(t, listed.Describe(Subject{Repository: "owner/other", Name: "mero-kms", Version: "1.2.0",
		Images: [][32]byte{image}}))
	require.ErrorContains(t, listed.Describe(Subject{Repository: "stranger/name", Name: "mero-kms", Version: "1.2.0",
		Images: [][32]byte{image}}), "it is of another author")
	at := slices.IndexFunc(made.Packages, func(p *spdx.Package) bool { return p.PackageName == "node_exporter" })
	got := made.Packages[at]
	require.Equal(t, []string{"Package-program-node-exporter-debug", "https://example.org/x", "maker"},
		[]string{string(got.PackageSPDXIdentifier), got.PackageDownloadLocation, got.PackageSupplier.Supplier})
	for name, change := range map[string]func(*Package){
		"another supplier": func(p *Package) { p.Supplier = "nobody" }, "no supplier": func(p *Package) { p.Supplier = "" },
		"another program": func(p *Package) { p.SHA256 = image },
	} {
		other := program
		change(&other)
		require.ErrorContains(t, listed.Check(image, []Package{unknown, uuid, other}), "1 of 3 packages", name)
	}
	require.ErrorContains(t, listed.Check(image, []Package{unknown, uuid}), "1 packages or programs are not in the image")
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
		"nothing that is there described": {func(d *spdx.Document) { d.Relationships[0].RefB.ElementRefID = "nowhere" },
			"what the document describes is no package"},
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
