package audit_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
)

// Each of these statements is signed by the right workflow: only what it says is wrong.
func TestProvenance(t *testing.T) {
	t.Parallel()
	const vouches, files = "provenance vouches for every asset and image", "provenance is made of the commit's files"
	in := func(old, replacement string) edit { return in(release.ProvenanceAsset, old, replacement) }
	cut := func(from, to string) edit { // the part of the line from one text up to another
		return func(name, content string) string {
			if name != release.ProvenanceAsset {
				return content
			}
			begin := strings.Index(content, from)
			end := begin + strings.Index(content[begin:], to)
			return content[:begin] + content[end:]
		}
	}
	for name, tc := range map[string]struct {
		tag    release.Tag
		change edit
		wrong  []string
		says   string
	}{
		"as it is": {stable, nil, nil, ""},
		"a subject missing": {stable, cut(`,{"name":"sbom.spdx.json"`, `]`), []string{vouches},
			"does not vouch for sbom.spdx.json"},
		"a subject renamed": {stable, in(`"name":"sbom.spdx.json"`, `"name":"other.json"`), []string{vouches},
			"does not vouch for sbom.spdx.json"},
		"another commit":   {stable, in(commit, other), []string{vouches}, "another commit"},
		"another workflow": {stable, in("release-kms-phala.yaml@", "ci.yaml@"), []string{vouches}, "another builder"},
		"another tag": {stable, in("refs/tags/"+stable.String(), "refs/tags/mero-kms-v9.9.9"), []string{vouches},
			"another builder"},
		"a predicate of tomorrow": {stable, in("slsa.dev/provenance/v1", "slsa.dev/provenance/v2"), []string{vouches},
			"not known here"},
		"another go.sum": {stable, in(`{"name":"go.sum"`, `{"name":"gone.sum"`), []string{files},
			"a dependency of the build is not in it"},
		"no base image": {node, in(`"name":"base image"`, `"name":"another"`), []string{vouches},
			"a dependency of the build is not in it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			report := judge(t, made(t, tc.tag, tc.change), audit.Subject{Tag: tc.tag, Commit: commit})
			if tc.wrong == nil {
				require.Contains(t, report.Results, check.Pass(vouches))
				require.Contains(t, report.Results, check.Pass(files))
				require.Empty(t, failed(report.Results))
				return
			}
			require.Subset(t, failed(report.Results), tc.wrong)
			require.ErrorContains(t, report.Results.Err(), tc.says)
			require.Equal(t, fault.Verification, fault.CodeOf(report.Results.Err()))
		})
	}
}
