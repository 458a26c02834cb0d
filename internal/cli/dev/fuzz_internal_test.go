package dev

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nothing tried is not something passed.
func TestFuzzReports(t *testing.T) {
	t.Parallel()
	const baseline = "fuzz: elapsed: 0s, gathering baseline coverage: 0/9 completed\n"
	const running = "fuzz: elapsed: 3s, execs: 7 (2/sec)\nfuzz: elapsed: 6s, execs: 31 (8/sec)\n"
	for said, want := range map[string]string{
		baseline:           "[WARN] p FuzzA: no new input was tried in that time; ",
		baseline + running: "[PASS] p FuzzA: 31 inputs tried\n",
	} {
		var out strings.Builder
		require.NoError(t, target{"p", "FuzzA"}.report(&out, []byte(said), nil))
		require.Contains(t, out.String(), want)
	}
	err := target{"p", "FuzzA"}.report(new(strings.Builder), nil, errors.New("exit status 1"))
	require.ErrorContains(t, err, "p FuzzA")
}
