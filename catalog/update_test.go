package catalog_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func pair(kms, node string) catalog.Pair {
	return catalog.Pair{KMS: version(kms), NodeImage: version(node)}
}

func trial(kms, node string, profiles ...release.Profile) catalog.Trial {
	return catalog.Trial{Pair: pair(kms, node), Profiles: profiles}
}

// The newest catalog decides; what E2E tested is added to it.
func TestUpdate(t *testing.T) {
	t.Parallel()
	all := release.Profiles()
	for name, tc := range map[string]struct {
		newest, tagged, past *catalog.Catalog // past: as tagged when nil
		trials               []catalog.Trial
		want                 *catalog.Catalog
		removed              []catalog.Pair
	}{
		"declared, then tested": {of(entry("1.0.0", "1.0.0", false, "first", all...)),
			of(entry("1.0.0", "1.0.0", false, "first", all...)), nil, []catalog.Trial{trial("1.0.0", "1.0.0", all...)},
			of(entry("1.0.0", "1.0.0", true, "first", all...)), nil},
		"others merged meanwhile": {of(entry("1.1.0", "1.0.0", true, "theirs", all...),
			entry("1.0.0", "1.0.0", false, "first", all...), entry("0.9.0", "1.0.0", true, "a hotfix's", locked)),
			of(entry("1.0.0", "1.0.0", false, "first", all...)), nil, []catalog.Trial{trial("1.0.0", "1.0.0", all...)},
			of(entry("1.1.0", "1.0.0", true, "theirs", all...), entry("1.0.0", "1.0.0", true, "first", all...),
				entry("0.9.0", "1.0.0", true, "a hotfix's", locked)), nil},
		"a note that was edited meanwhile": {of(entry("1.0.0", "1.0.0", false, "edited", all...)),
			of(entry("1.0.0", "1.0.0", false, "as tagged", all...)), nil, []catalog.Trial{trial("1.0.0", "1.0.0", all...)},
			of(entry("1.0.0", "1.0.0", true, "edited", all...)), nil},
		"a hotfix's own pair, with its note": {of(entry("2.0.0", "2.0.0", true, "", all...)),
			of(entry("1.0.1", "1.0.0", false, "declared on the branch", all...), entry("1.0.0", "1.0.0", true, "", all...)),
			of(entry("1.0.0", "1.0.0", true, "", all...)), []catalog.Trial{trial("1.0.1", "1.0.0", debug, locked)},
			of(entry("2.0.0", "2.0.0", true, "", all...), entry("1.0.1", "1.0.0", true, "", debug, locked),
				entry("1.0.1", "1.0.0", false, "declared on the branch", middle)), nil},
		"taken out on purpose": {of(entry("1.0.0", "1.0.0", false, "", all...)),
			of(entry("1.0.0", "1.0.0", false, "", all...), entry("1.0.0", "0.9.0", true, "", all...)), nil,
			[]catalog.Trial{trial("1.0.0", "1.0.0", all...), trial("1.0.0", "0.9.0", all...)},
			of(entry("1.0.0", "1.0.0", true, "", all...)), []catalog.Pair{pair("1.0.0", "0.9.0")}},
		"a profile that was taken out and passed again": {of(entry("1.0.0", "1.0.0", true, "", locked)),
			of(entry("1.0.0", "1.0.0", true, "", all...)), nil, []catalog.Trial{trial("1.0.0", "1.0.0", all...)},
			of(entry("1.0.0", "1.0.0", true, "", all...)), nil},
		"nothing passed": {of(entry("1.0.0", "1.0.0", false, "", all...)), of(), nil,
			[]catalog.Trial{trial("1.0.0", "1.0.0")}, of(entry("1.0.0", "1.0.0", false, "", all...)), nil},
		"a candidate": {of(entry("1.0.0", "1.0.0", false, "", all...)), of(), nil, []catalog.Trial{
			trial("1.0.0-rc.1", "1.0.0", all...), trial("1.0.0", "1.0.0-rc.1", all...)},
			of(entry("1.0.0", "1.0.0", false, "", all...)), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			past := tc.past
			if past == nil {
				past = tc.tagged
			}
			got, removed, err := catalog.Update(tc.newest, tc.tagged, past, tc.trials)
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			require.Equal(t, tc.removed, removed)
			again, _, err := catalog.Update(got, tc.tagged, past, tc.trials)
			require.NoError(t, err)
			require.Equal(t, got, again, "idempotent")
		})
	}
	_, _, err := catalog.Update(&catalog.Catalog{SchemaVersion: "2"}, of(), of(), nil)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

func TestTestedWith(t *testing.T) {
	t.Parallel()
	all := release.Profiles()
	c := of(entry("1.1.0", "1.0.0", true, "", all...), entry("1.0.0", "1.0.0", true, "", debug, locked),
		entry("1.0.0", "0.9.0", false, "", all...))
	require.Equal(t, []catalog.Pair{pair("1.1.0", "1.0.0")}, c.TestedWith(tags("mero-tee-v1.0.0")[0]))
	require.Empty(t, c.TestedWith(tags("mero-kms-v1.0.0")[0]), "not in every profile")
	require.Empty(t, c.TestedWith(tags("mero-tee-v0.9.0")[0]), "not tested")
	require.Empty(t, c.TestedWith(tags("mero-kms-v1.1.0-rc.1")[0]), "a candidate is not the version")
}

func TestAdditions(t *testing.T) {
	t.Parallel()
	all := release.Profiles()
	before := of(entry("1.1.0", "1.0.0", false, "", all...), entry("1.0.0", "1.0.0", true, "", locked))
	for name, tc := range map[string]struct {
		after *catalog.Catalog
		want  []string
	}{
		"nothing": {before, nil},
		"another note": {of(entry("1.1.0", "1.0.0", false, "b", all...), entry("1.0.0", "1.0.0", true, "c", locked)),
			nil},
		"a pair taken out": {of(entry("1.0.0", "1.0.0", true, "", locked)), nil},
		"a new pair": {of(entry("1.2.0", "1.0.0", false, "", all...), entry("1.0.0", "1.0.0", true, "", locked)),
			[]string{"- mero-kms-v1.2.0 with mero-tee-v1.0.0: declared, not tested yet"}},
		"profiles that became tested": {of(entry("1.1.0", "1.0.0", true, "", debug, locked),
			entry("1.1.0", "1.0.0", false, "", middle), entry("1.0.0", "1.0.0", true, "", all...)),
			[]string{"- mero-kms-v1.1.0 with mero-tee-v1.0.0: tested in debug, locked-read-only",
				"- mero-kms-v1.0.0 with mero-tee-v1.0.0: tested in debug, debug-read-only"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, a := range tc.after.Additions(before) {
				got = append(got, a.Mention())
				require.True(t, a.MentionedIn("# x\n\n"+a.Mention()+"\n"))
			}
			require.Equal(t, tc.want, got)
		})
	}
	require.Len(t, before.Additions(nil), 2, "before the first catalog there was nothing")
}

func TestMentionedIn(t *testing.T) {
	t.Parallel()
	a := catalog.Addition{Pair: pair("1.0.0", "1.1.0"), Tested: []release.Profile{debug}}
	for text, want := range map[string]bool{
		"- mero-kms-v1.0.0 with mero-tee-v1.1.0: tested in debug":                true,
		"mero-kms-v1.0.0 works\nwith mero-tee-v1.1.0 in\ndebug.":                 true,
		"| mero-kms-v1.0.0 | mero-tee-v1.1.0 | debug |":                          true,
		"`mero-kms-v1.0.0` and [mero-tee-v1.1.0](x), **debug**":                  true,
		"- mero-kms-v1.0.0 with mero-tee-v1.1.0: tested in debug-read-only":      false,
		"- mero-kms-v1.0.0 with mero-tee-v1.1.0-rc.1: tested in debug":           false,
		"- mero-kms-v1.0.0 with mero-tee-v1.1.01: tested in debug":               false,
		"- xmero-kms-v1.0.0 with mero-tee-v1.1.0: tested in debug":               false,
		"- mero-kms-v1.0.0: tested in debug\n- mero-tee-v1.1.0: tested in debug": false,
		"mero-kms-v1.0.0, debug\n\nmero-tee-v1.1.0":                              false,
		"<!-- mero-kms-v1.0.0 with mero-tee-v1.1.0: debug -->":                   false,
		"<!-- open\n- mero-kms-v1.0.0 with mero-tee-v1.1.0: tested in debug":     false,
		"- mero-kms-v1.1.0 with mero-tee-v1.0.0: tested in debug":                false,
		"[//]: # (mero-kms-v1.0.0 with mero-tee-v1.1.0: debug)":                  false,
		"[//]: # (x)\n- mero-kms-v1.0.0 with mero-tee-v1.1.0: debug":             true,
		"See[^1].\n\n[^1]: mero-kms-v1.0.0 with mero-tee-v1.1.0: debug":          true,
		"": false,
	} {
		require.Equal(t, want, a.MentionedIn(text), text)
	}
}

// The page keeps what people wrote, and no note can break out of its cell.
func TestDocs(t *testing.T) {
	t.Parallel()
	c := of(entry("1.0.0", "1.0.0", true, "a|b <!-- end of pairs -->\n*x*", release.Profiles()...))
	first := c.Docs(nil)[catalog.PagePath]
	require.Contains(t, string(first), "# Compatibility catalog\n")
	require.Contains(t, string(first),
		`| 1.0.0 | 1.0.0 | debug, debug-read-only, locked-read-only | tested | a\|b &lt;!-- end of pairs --&gt; \*x\* |`)
	require.Equal(t, string(first), string(c.Docs(first)[catalog.PagePath]), "once")
	own := strings.Replace(string(first), "# Compatibility catalog\n", "# Ours\n\nBefore.\n", 1) + "\nAfter.\n"
	grown := of(append(entries("1.1.0"), c.Entries...)...).Docs([]byte(own))
	require.Contains(t, string(grown[catalog.PagePath]), "Before.")
	require.Contains(t, string(grown[catalog.PagePath]), "After.")
	require.Contains(t, string(grown[catalog.PagePath]), "| 1.1.0 |")
	require.Equal(t, 1, strings.Count(string(grown[catalog.PagePath]), "| 1.0.0 | 1.0.0 |"))
	require.Contains(t, string(grown[catalog.PicturePath]), "1.1.0")
	lost := c.Docs([]byte("# Ours\n\nNo lines of ours.\n"))[catalog.PagePath]
	require.Contains(t, string(lost), "No lines of ours.\n\n## Pairs\n\n<!-- pairs")
}

func entries(kms string) []catalog.Entry {
	return []catalog.Entry{entry(kms, "1.0.0", false, "", release.Profiles()...)}
}

// The shipped page and picture are those of the shipped catalog: `go tool mage catalog:docs` writes them.
func TestShippedDocs(t *testing.T) {
	t.Parallel()
	c, err := catalog.Read(catalog.File)
	require.NoError(t, err)
	page, err := os.ReadFile("../" + catalog.PagePath)
	require.NoError(t, err)
	for path, want := range c.Docs(page) {
		got, err := os.ReadFile("../" + path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s: run `go tool mage catalog:docs`", path)
	}
}

// The place that everybody looks at by default is this folder's file.
func TestTheDefaultPath(t *testing.T) {
	t.Parallel()
	c, err := config.Load(func(string) (string, bool) { return "", false })
	require.NoError(t, err)
	require.Equal(t, catalog.Path, c.CatalogPath)
}

func TestRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		require.NoError(t, os.WriteFile(dir+"/"+name, []byte(text), 0o600))
		return dir + "/" + name
	}
	good := write("good.json", `{"schema_version":"1","entries":[]}`)
	require.NoError(t, os.Symlink(good, dir+"/link.json"))
	_, err := catalog.Read(good)
	require.NoError(t, err)
	for path, code := range map[string]fault.Code{
		dir + "/none.json": fault.MissingAsset, dir + "/none/none.json": fault.MissingAsset, dir: fault.Usage,
		dir + "/link.json":                                             fault.Usage,
		write("broken.json", "{"):                                      fault.Verification,
		write("large.json", strings.Repeat(" ", 5<<20)):                fault.Usage,
		write("two.json", `{"schema_version":"1","entries":[],"a":1}`): fault.Verification,
	} {
		_, err := catalog.Read(path)
		require.Equal(t, code, fault.CodeOf(err), path)
	}
}
