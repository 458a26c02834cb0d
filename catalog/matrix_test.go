package catalog_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// grown is a catalog after some releases, with every state.
func grown() *catalog.Catalog {
	all := release.Profiles()
	return of(
		entry("1.10.1", "1.1.0", true, "", all...),
		entry("1.2.0", "1.2.0", false, "", all...),
		entry("1.2.0", "1.1.0", true, "E2E <passed> & reviewed", locked),
		entry("1.2.0", "1.1.0", false, "", debug))
}

func TestTableAndSVGGolden(t *testing.T) {
	t.Parallel()
	m := grown().Matrix()
	var table bytes.Buffer
	require.NoError(t, m.WriteTable(&table))
	empty := of().Matrix()
	for name, got := range map[string][]byte{"matrix.txt": table.Bytes(), "matrix.svg": m.SVG(),
		"empty.svg": empty.SVG()} {
		golden := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(golden, got, 0o644))
		}
		want, err := os.ReadFile(golden)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got))
	}
	require.Equal(t, m.SVG(), grown().Matrix().SVG(), "the same bytes again")
	require.NoError(t, wellFormed(m.SVG()))
	require.NoError(t, wellFormed(empty.SVG()))
	require.Error(t, wellFormed([]byte("<svg><a></svg>")))
}

func wellFormed(svg []byte) error {
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestMatrix(t *testing.T) {
	t.Parallel()
	m := grown().Matrix()
	require.Equal(t, []release.Version{version("1.10.1"), version("1.2.0")}, m.KMS, "newest first, as versions")
	require.Equal(t, []release.Version{version("1.2.0"), version("1.1.0")}, m.Nodes)
	states, notes := m.At(version("1.2.0"), version("1.1.0"))
	require.Equal(t, []catalog.State{catalog.Declared, catalog.Unlisted, catalog.Tested}, states)
	require.Equal(t, "E2E <passed> & reviewed", notes)
	states, _ = m.At(version("1.10.1"), version("1.2.0"))
	require.Equal(t, []catalog.State{catalog.Unlisted, catalog.Unlisted, catalog.Unlisted}, states)
	require.Equal(t, "tested", catalog.Tested.String())
}

func tags(names ...string) (out []release.Tag) {
	for _, n := range names {
		t, err := release.ParseTag(n)
		if err != nil {
			panic(err)
		}
		out = append(out, t)
	}
	return out
}

func TestInspect(t *testing.T) {
	t.Parallel()
	data, err := grown().Encode()
	require.NoError(t, err)
	released := tags("mero-kms-v1.10.1", "mero-kms-v1.2.0", "mero-tee-v1.1.0")
	results := catalog.Inspect(data, released)
	require.NoError(t, results.Err())
	require.Len(t, results, 6+4, "shape, five rules, and the tags of each entry")
	require.Equal(t, 1, results.Count(check.Inapplicable), "1.2.0 with 1.2.0 is declared and not released")

	late := catalog.Inspect(data, released[1:])
	require.Equal(t, fault.Verification, fault.CodeOf(late.Err()))
	require.ErrorContains(t, late.Err(),
		"tags of kms 1.10.1 with node image 1.1.0: listed as tested, but there is no such tag")
	require.NoError(t, catalog.Inspect([]byte("{\n  \"schema_version\": \"1\",\n  \"entries\": []\n}\n"), nil).Err())
}

// Each rule of catalog:check fires for its own mistake.
func TestInspectFires(t *testing.T) {
	t.Parallel()
	const one = `{
      "kms": "1.0.0",
      "node_image": "1.0.0",
      "profiles": [
        "debug"
      ],
      "tested": false,
      "notes": ""
    }`
	file := func(entries string) string {
		return "{\n  \"schema_version\": \"1\",\n  \"entries\": [\n    " + entries + "\n  ]\n}\n"
	}
	replace := func(from, to string) string { return string(bytes.Replace([]byte(one), []byte(from), []byte(to), 1)) }
	for name, tc := range map[string]struct{ file, want string }{
		"duplicate pair": {file(one + ",\n    " + one), "catalog: no pair is listed twice"},
		"apart duplicate": {file(replace(`"kms": "1.0.0"`, `"kms": "1.1.0"`) + ",\n    " + one + ",\n    " +
			replace(`"node_image": "1.0.0"`, `"node_image": "0.9.0"`) + ",\n    " + one), "catalog: no pair is listed twice"},
		"tested and not":  {file(replace("false", "true") + ",\n    " + one), "catalog: no pair is listed twice"},
		"unknown profile": {file(replace(`"debug"`, `"open"`)), "catalog: profiles are known, once each and in order"},
		"oldest first": {file(one + ",\n    " + replace(`"kms": "1.0.0"`, `"kms": "1.1.0"`)),
			"catalog: entries are ordered newest first"},
		"candidate": {file(replace(`"kms": "1.0.0"`, `"kms": "1.0.0-rc.1"`)),
			"catalog: each entry names two final versions"},
		"tag that is not":      {file(replace("false", "true")), "catalog: tags of kms 1.0.0 with node image 1.0.0"},
		"unknown field":        {file(replace(`"notes"`, `"remarks"`)), "catalog: is a catalog, in the canonical form"},
		"another form":         {file(one) + "\n", "catalog: is a catalog, in the canonical form"},
		"no version of schema": {`{"schema_version":"2","entries":[]}`, "catalog: version and entries are there"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := catalog.Inspect([]byte(tc.file), nil)
			var failed []string
			for _, r := range results {
				if !r.OK() {
					failed = append(failed, r.Name)
				}
			}
			require.Contains(t, failed, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(results.Err()))
		})
	}
}
