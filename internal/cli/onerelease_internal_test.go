package cli

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

func TestOneReleaseForEachCommand(t *testing.T) {
	t.Parallel()
	kms := config.Config{Environment: config.Production, KMSVersion: release.Version{Major: 1},
		TEEVersion: release.Version{Major: 1}}
	for name, tc := range map[string]struct {
		words   string
		cfg     config.Config
		refused string // empty: it is about one
	}{
		"two tags": {"release:kms -tag=mero-kms-v0.3.0 release:kms -tag=mero-kms-v0.4.0",
			config.Config{}, "mero-kms-v0.4.0"},
		"of two families": {"release:kms -tag=mero-kms-v1.0.0 release:node -tag=mero-tee-v1.0.0",
			kms, "mero-tee-v1.0.0"},
		"in another spelling": {"Release:KMS -TAG=mero-kms-v0.3.0 release:prerelease -tag=mero-kms-v0.4.0",
			config.Config{}, "mero-kms-v0.4.0"},
		"a step with a tag": {"release:kms -tag=mero-kms-v1.0.0 kms:publish -tag=mero-kms-v2.0.0",
			kms, "takes no tag"},
		"an alias with a tag": {"Publish -tag=mero-kms-v2.0.0", kms, "takes no tag"},
		"a step of another": {"release:kms -tag=mero-kms-v2.0.0 kms:publish",
			config.Config{Environment: config.Rehearsal}, "mero-kms-v0.1.0"},
		"an alias of another": {"release:kms -tag=mero-kms-v2.0.0 Audit",
			config.Config{Environment: config.Rehearsal}, "mero-kms-v0.1.0"},
		"CI's own": {"ci release:kms -tag=mero-kms-v2.0.0",
			config.Config{Environment: config.Rehearsal}, "mero-kms-v0.1.0"},
		"CI's own, later": {"release:prerelease -tag=mero-kms-v2.0.0 CI",
			config.Config{Environment: config.Rehearsal}, "mero-kms-v0.1.0"},
		"CI with a tag": {"ci -tag=mero-kms-v2.0.0", kms, "takes no tag"},
		"a release's hash": {"release:kms -tag=mero-kms-v2.0.0 kms:composeHash",
			config.Config{Environment: config.Rehearsal}, "mero-kms-v0.1.0"},
		"the variable's": {"release:kms -tag=mero-kms-v2.0.0 release:node", kms, "MERO_KMS_VERSION"},
		"the merged one's": {"release:merge mero-tee-v1.0.0 jobs release:nodePrerelease -tag=mero-tee-v2.0.0",
			kms, "mero-tee-v2.0.0"},
		"the merged one's step": {"release:merge mero-tee-v2.0.0 jobs node:mrtds", kms, "1.0.0"},

		"one":                 {"release:kms -tag=mero-kms-v2.0.0", kms, ""}, // guard 2 judges the variable
		"the same twice":      {"release:kms -tag=mero-kms-v1.0.0 kms:audit", kms, ""},
		"steps":               {"kms:version kms:build kms:policy", kms, ""},
		"both, as configured": {"release:kms release:node", kms, ""},
		"a workflow's, later": {"release:merge mero-tee-v2.0.0 jobs doctor -steps=node:e2e release:nodePrerelease",
			config.Config{Environment: config.Production, Actions: true, RefName: "mero-tee-v2.0.0",
				TEEVersion: release.Version{Major: 9}}, ""}, // the variable moved: what was judged counts
		"a workflow's": {"doctor -steps=kms:e2e release:merge mero-tee-v1.0.0 jobs release:nodePrerelease",
			kms, ""},
		"an operator's":    {"policy:promote -tag=mero-tee-v1.0.0 policy:refresh -tag=mero-tee-v2.0.0", kms, ""},
		"one, then a look": {"release:kms -tag=mero-kms-v1.0.0 config:attestation -tag=mero-kms-v0.9.0", kms, ""},
		"one, then comparisons": {"release:kms -tag=mero-kms-v1.0.0 verify:release mero-kms-v0.9.0 measurement:diff a b",
			kms, ""},
		"no tag at all": {"release:kms -tag=latest kms:audit", kms, ""}, // its target says so
		"profiles":      {"node:build -profile=debug node:measure -profile=debug", kms, ""},
		"a file's hash": {"release:kms -tag=mero-kms-v2.0.0 kms:composeHash -file=a.yaml -env=b.env",
			config.Config{Environment: config.Rehearsal}, ""}, // of no release
		"nothing": {"", kms, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := &workspace{dist: t.TempDir(), cfg: &tc.cfg}
			before := tc.cfg
			err := w.oneRelease(strings.Fields(tc.words))
			require.Equal(t, before, tc.cfg, "a look")
			if tc.refused == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, fault.Usage, fault.CodeOf(err))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Contains(t, f.Message+f.Got, tc.refused)
		})
	}
}

// The magefiles' aliases are those that are known here.
func TestAliases(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "../../magefiles/magefile.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	found := map[string]release.Family{}
	ast.Inspect(file, func(n ast.Node) bool {
		pair, ok := n.(*ast.KeyValueExpr)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(pair.Key.(*ast.BasicLit).Value)
		require.NoError(t, err)
		namespace := pair.Value.(*ast.SelectorExpr).X.(*ast.Ident).Name
		found[strings.ToLower(name)] = map[string]release.Family{"KMS": release.KMS, "Node": release.Node}[namespace]
		return true
	})
	require.Equal(t, aliases, found)
}
