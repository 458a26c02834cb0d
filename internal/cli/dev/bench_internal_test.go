package dev

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBenchDirs(t *testing.T) {
	t.Parallel()
	dirs, err := benchDirs(t.Context(), "../../..")
	require.NoError(t, err)
	require.Contains(t, dirs, "../../../internal/verify/audit")
	require.Contains(t, dirs, "../../../docker/mero-kms")
	require.NotContains(t, dirs, "../../../internal/release")
}

func TestBenchLine(t *testing.T) {
	t.Parallel()
	m := benchLine.FindStringSubmatch("BenchmarkGetKey/quote_v4-2   \t    1500\t    804321 ns/op\t  12 B/op\n")
	require.Equal(t, "BenchmarkGetKey/quote_v4", m[1])
	require.Contains(t, m[2], "804321 ns/op")
}
