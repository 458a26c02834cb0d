package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// Without a tag a suite takes the newest public release of the family; foreign tags and drafts are none.
func TestThePairOfASuite(t *testing.T) {
	t.Parallel()
	kms, node := []github.Release{{TagName: "mero-kms-v1.2.0"}, {TagName: "mero-kms-v1.10.0-rc.1"}},
		[]github.Release{{TagName: "mero-tee-v1.1.0"}, {TagName: "mero-tee-v1.2.0", Draft: true}, {TagName: "v9.9.9"}}
	for name, tc := range map[string]struct {
		given []string
		all   []github.Release
		want  [2]string
		code  fault.Code
	}{
		"the newest": {nil, append(kms, node...), [2]string{"mero-kms-v1.10.0-rc.1", "mero-tee-v1.1.0"}, 0},
		"an older service": {[]string{"mero-kms-v1.2.0"}, append(kms, node...),
			[2]string{"mero-kms-v1.2.0", "mero-tee-v1.1.0"}, 0},
		"an older node":   {[]string{"mero-tee-v1.0.0"}, kms, [2]string{"mero-kms-v1.10.0-rc.1", "mero-tee-v1.0.0"}, 0},
		"no node release": {nil, kms, [2]string{}, fault.MissingAsset},
		"no service":      {nil, node, [2]string{}, fault.MissingAsset},
		"nothing but drafts": {nil, []github.Release{{TagName: "mero-kms-v1.0.0", Draft: true}},
			[2]string{}, fault.MissingAsset},
	} {
		tags := map[release.Family]release.Tag{}
		for _, given := range tc.given {
			tag, err := parseTag("", given)
			require.NoError(t, err)
			tags[tag.Family] = tag
		}
		err := complete(tags, tc.all)
		require.Equal(t, tc.code, fault.CodeOf(err), name)
		if err == nil {
			require.Equal(t, tc.want, [2]string{tags[release.KMS].String(), tags[release.Node].String()}, name)
		}
	}
}

// A release that is not public cannot be tried.
func TestASuiteWantsPublicReleases(t *testing.T) {
	t.Parallel()
	o, _, _ := auditing(t, "mero-kms-v1.2.0")
	kms, err := parseTag(release.KMS, "mero-kms-v9.9.9")
	require.NoError(t, err)
	node, err := parseTag(release.Node, "mero-tee-v1.0.0")
	require.NoError(t, err)
	_, err = o.trial(t.Context(), t.TempDir(), kms, node)
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	require.ErrorContains(t, err, "no public release mero-kms-v9.9.9")
}

// A tag of the wrong family, or none at all, is refused before anything is opened.
func TestASuiteWantsTagsOfItsFamilies(t *testing.T) {
	t.Parallel()
	for _, tags := range [][2]string{{"mero-tee-v1.0.0", ""}, {"", "mero-kms-v1.0.0"}, {"v1.0.0", ""}, {"", "latest"}} {
		for _, suite := range e2e.Suites() {
			require.Equal(t, fault.Usage, fault.CodeOf(runE2E(t.Context(), suite, tags[0], tags[1])), "%v", tags)
		}
	}
}
