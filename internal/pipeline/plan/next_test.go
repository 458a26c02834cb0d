package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		class        release.Class
		tags, stable []string
		want         string
	}{
		{release.Candidate, nil, nil, "mero-kms-v0.1.0-rc.1"},
		{release.Stable, nil, nil, "mero-kms-v0.1.0"},
		{release.Candidate, []string{"mero-kms-v1.0.0-rc.1", "mero-kms-v1.0.0-rc.2"}, nil, "mero-kms-v1.0.0-rc.3"},
		{release.Stable, []string{"mero-kms-v1.0.0-rc.2"}, nil, "mero-kms-v1.0.0"},
		{release.Stable, []string{"mero-kms-v1.0.0"}, []string{"mero-kms-v1.0.0"}, "mero-kms-v1.1.0"},
		{release.Candidate, []string{"mero-kms-v1.0.0-rc.1", "mero-kms-v1.0.0"}, []string{"mero-kms-v1.0.0"},
			"mero-kms-v1.1.0-rc.1"},
		// A number whose release failed is used up.
		{release.Stable, []string{"mero-kms-v1.0.0", "mero-kms-v1.1.0"}, []string{"mero-kms-v1.0.0"}, "mero-kms-v1.2.0"},
		{release.Candidate, []string{"mero-kms-v1.1.0-rc.1", "mero-kms-v1.1.0"}, []string{"mero-kms-v1.0.0"},
			"mero-kms-v1.2.0-rc.1"},
		{release.Hotfix, []string{"mero-kms-v1.1.0", "mero-kms-v1.1.1"}, []string{"mero-kms-v1.0.0", "mero-kms-v1.1.0"},
			"mero-kms-v1.1.2"},
		// The other family's tags, and those of nobody, count for nothing.
		{release.Stable, []string{"mero-tee-v3.0.0-rc.1", "v9.9.9", "mero-kms-v9"}, []string{"mero-tee-v2.0.0"},
			"mero-kms-v0.1.0"},
		{release.Stable, []string{"mero-kms-v10.0.0-rc.1", "mero-kms-v9.0.0-rc.1"}, []string{"mero-kms-v8.0.0"},
			"mero-kms-v10.0.0"},
	} {
		tags := map[string]string{}
		for _, name := range c.tags {
			tags[name] = "commit"
		}
		var stable []release.Tag
		for _, name := range c.stable {
			tag, err := release.ParseTag(name)
			require.NoError(t, err)
			stable = append(stable, tag)
		}
		got, err := plan.Next(release.KMS, c.class, tags, stable)
		require.NoError(t, err)
		require.Equal(t, c.want, got.String(), "%s beside %v", c.class, c.tags)
	}
}

func TestNextOfNothing(t *testing.T) {
	t.Parallel()
	_, err := plan.Next(release.KMS, release.Hotfix, nil, nil)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	_, err = plan.Next(release.KMS, "nightly", nil, nil)
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}
