package cli

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

func TestRecent(t *testing.T) {
	t.Parallel()
	all := []github.Release{{TagName: "mero-kms-v1.2.0"}, {TagName: "mero-kms-v1.10.0-rc.1"}, {TagName: "mero-tee-v0.1.0"},
		{TagName: "nightly"},
		{TagName: "mero-kms-v1.9.0"}, {TagName: "mero-kms-v1.10.0", Draft: true}, {TagName: "mero-kms-v1.2.1"}}
	names := func(n int) (out []string) {
		for _, tag := range recent(all, n) {
			out = append(out, tag.String())
		}
		return out
	}
	require.Equal(t, []string{"mero-kms-v1.10.0-rc.1", "mero-tee-v0.1.0"}, names(1))
	require.Equal(t, []string{"mero-kms-v1.10.0-rc.1", "mero-kms-v1.9.0", "mero-kms-v1.2.1", "mero-tee-v0.1.0"}, names(3))
	require.Len(t, names(100), 5)
	require.Empty(t, recent(nil, 3))
}

func TestSummaryHasTheFirstCode(t *testing.T) {
	t.Parallel()
	require.NoError(t, summary(nil, 2))
	err := summary([]error{&fault.Error{Code: fault.MissingAsset, Message: "a"}, errors.New("b")}, 3)
	require.Equal(t, fault.MissingAsset, fault.CodeOf(err))
	require.ErrorContains(t, err, "2 of 3 releases did not pass")
}

func TestRecentWantsANumber(t *testing.T) {
	t.Parallel()
	require.Equal(t, fault.Usage, fault.CodeOf(VerifyRecent(t.Context(), 0)))
}
