package catalog_test

import (
	"bytes"
	"os"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

func version(s string) release.Version {
	v, err := release.ParseVersion(s)
	if err != nil {
		panic(err)
	}
	return v
}

func entry(kms, node string, tested bool, notes string, profiles ...release.Profile) catalog.Entry {
	return catalog.Entry{KMS: version(kms), NodeImage: version(node), Profiles: profiles, Tested: tested, Notes: notes}
}

func of(entries ...catalog.Entry) *catalog.Catalog {
	return &catalog.Catalog{SchemaVersion: "1", Entries: append([]catalog.Entry{}, entries...)}
}

// specExample is the structure that the spec shows, in the canonical form.
const specExample = `{
  "schema_version": "1",
  "entries": [
    {
      "kms": "1.2.0",
      "node_image": "1.2.0",
      "profiles": [
        "debug",
        "debug-read-only",
        "locked-read-only"
      ],
      "tested": true,
      "notes": "Initial paired release"
    },
    {
      "kms": "1.2.0",
      "node_image": "1.1.0",
      "profiles": [
        "locked-read-only"
      ],
      "tested": true,
      "notes": "Backward compat — node 1.1.0 MRTDs in KMS 1.2.0 policy"
    }
  ]
}
`

func TestSpecExample(t *testing.T) {
	t.Parallel()
	c, err := catalog.Decode([]byte(specExample))
	require.NoError(t, err)
	b, err := c.Encode()
	require.NoError(t, err)
	require.Equal(t, specExample, string(b))
	require.NoError(t, conforms(t, []byte(specExample)))
}

func TestShippedCatalog(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(catalog.File)
	require.NoError(t, err)
	c, err := catalog.Decode(data)
	require.NoError(t, err)
	require.Equal(t, []catalog.Entry{entry("0.1.0", "0.1.0", false, "Initial paired release", release.Profiles()...)},
		c.Find(version("0.1.0"), version("0.1.0")))
	b, err := c.Encode()
	require.NoError(t, err)
	require.Equal(t, string(b), string(data), "in the canonical form")
	require.NoError(t, conforms(t, data))
}

func conforms(t *testing.T, data []byte) error {
	t.Helper()
	schema, err := jsonschema.NewCompiler().Compile("compatibility-catalog.schema.json")
	require.NoError(t, err)
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	require.NoError(t, err)
	return schema.Validate(value)
}

func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string][2]string{
		"candidate": {`"kms": "1.2.0"`, `"kms": "1.2.0-rc.1"`}, "field": {`"tested"`, `"passed"`},
		"profile": {`"debug"`, `"open"`}, "version": {`"schema_version": "1"`, `"schema_version": "2"`},
	} {
		require.Error(t, conforms(t, bytes.Replace([]byte(specExample), []byte(change[0]), []byte(change[1]), 1)), name)
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	c, err := catalog.Decode([]byte(specExample))
	require.NoError(t, err)
	require.Len(t, c.Find(version("1.2.0"), version("1.1.0")), 1)
	require.Len(t, c.Find(version("1.2.0-rc.4"), version("1.2.0-rc.1")), 1,
		"an RC is matched by the version it is a candidate for")
	require.Empty(t, c.Find(version("1.1.0"), version("1.2.0")))
	require.Equal(t, catalog.Pair{KMS: version("1.2.0"), NodeImage: version("1.1.0")},
		catalog.PairOf(release.Tag{Family: release.Node, Version: version("1.1.0")},
			release.Tag{Family: release.KMS, Version: version("1.2.0")}))
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	all := release.Profiles()
	for name, tc := range map[string]struct {
		c    *catalog.Catalog
		want string
	}{
		"schema version": {&catalog.Catalog{SchemaVersion: "2"}, "schema_version"},
		"no entries":     {&catalog.Catalog{SchemaVersion: "1"}, "entries is missing"},
		"oldest first": {of(entry("1.0.0", "1.0.0", true, "", all...), entry("1.1.0", "1.0.0", true, "", all...)),
			"not ordered"},
		"older node first": {of(entry("1.0.0", "1.0.0", true, "", all...), entry("1.0.0", "1.1.0", true, "", all...)),
			"not ordered"},
		"untested first": {of(entry("1.0.0", "1.0.0", false, "", all[0]), entry("1.0.0", "1.0.0", true, "", all[1])),
			"not ordered"},
		"twice": {of(entry("1.0.0", "1.0.0", true, "", all[0]), entry("1.0.0", "1.0.0", true, "", all[1])),
			"appears twice"},
		"both": {of(entry("1.0.0", "1.0.0", true, "", all[0]), entry("1.0.0", "1.0.0", false, "", all...)),
			"tested and as not tested"},
		"candidate":          {of(entry("1.0.0-rc.1", "1.0.0", true, "", all...)), "release candidate"},
		"no version":         {of(catalog.Entry{KMS: version("1.0.0"), Profiles: all}), "is missing"},
		"no profile":         {of(entry("1.0.0", "1.0.0", true, "")), "profiles"},
		"unknown profile":    {of(entry("1.0.0", "1.0.0", true, "", "open")), "profiles"},
		"profile twice":      {of(entry("1.0.0", "1.0.0", true, "", all[0], all[0])), "profiles"},
		"profiles reordered": {of(entry("1.0.0", "1.0.0", true, "", all[1], all[0])), "profiles"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tc.c.Check()
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			_, err = tc.c.Encode()
			require.Error(t, err)
			_, err = catalog.Merge(tc.c, nil)
			require.Error(t, err, "what is broken is not built upon")
		})
	}
	_, err := catalog.Decode([]byte(`{"schema_version":"1","entries":[],"extra":1}`))
	require.ErrorContains(t, err, "extra")
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(specExample))
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := catalog.Decode(in)
		if err != nil {
			return
		}
		merged, err := catalog.Merge(c, c.Entries)
		require.NoError(t, err)
		require.Equal(t, c, merged, "what a catalog holds adds nothing to it")
	})
}
