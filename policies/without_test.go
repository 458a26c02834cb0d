package policies_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func TestWithout(t *testing.T) {
	t.Parallel()
	before, node := ready(t, release.Debug), evidence(t, "1.2.0", 2)
	older, err := before.Without(node.Tag)
	require.NoError(t, err)
	_, err = older.Encode()
	require.NoError(t, err)
	require.ErrorContains(t, older.Admits(node.Registers[release.Debug], upToDate, today), "not allowed")
	require.NoError(t, older.Admits(evidence(t, "1.1.0", 1).Registers[release.Debug], upToDate, today))
	require.Len(t, before.Measurements, 2, "the policy itself is left as it was")
	same, err := before.Without(release.Tag{Family: release.Node, Version: version(t, "9.9.9")})
	require.NoError(t, err)
	require.Equal(t, before, same)
	_, err = older.Without(evidence(t, "1.1.0", 1).Tag)
	require.ErrorContains(t, err, "no older measurement")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

// The same image released twice is one measurement: no older policy refuses it.
func TestWithoutTakesEqualMeasurementsToo(t *testing.T) {
	t.Parallel()
	first, again := evidence(t, "1.1.0", 2), evidence(t, "1.2.0", 2)
	again.Digest = "sha256:" + strings.Repeat("f", 64)
	p, err := policies.Generate(working(t, release.Debug, first, again), version(t, "1.2.0"), again)
	require.NoError(t, err)
	_, err = p.Without(again.Tag)
	require.ErrorContains(t, err, "no older measurement")
}
