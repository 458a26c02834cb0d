package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestDoctorsFamilies(t *testing.T) {
	t.Parallel()
	for short, want := range map[string][]release.Family{"": release.Families(), "kms": {release.KMS},
		"node": {release.Node}} {
		got, err := parseFamilies(short)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := parseFamilies("mero-kms")
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

func TestDoctorsSteps(t *testing.T) {
	t.Parallel()
	for list, ok := range map[string]bool{"kms:build": true, "node:version,node:measure": true, "kms:bild": false,
		"node:build/debug": false, "kms:build, kms:sbom": false, ",": false} {
		_, err := parseSteps(list)
		require.Equal(t, ok, err == nil, list)
		require.True(t, ok || fault.CodeOf(err) == fault.Usage, list)
	}
}

func TestDiagnosis(t *testing.T) {
	t.Parallel()
	require.NoError(t, diagnosis(check.Results{check.Pass("a"), check.Skip("b", "why")}),
		"what was not asked stops nothing by itself")
	err := diagnosis(check.Results{check.Pass("a"), check.Fail("b", fault.General, "", "", "")})
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "1 of 2 checks failed")
}
