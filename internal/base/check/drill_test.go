package check_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func TestDrills(t *testing.T) {
	t.Parallel()
	bad, good := check.Fail("a", fault.Verification, "r", "x", "y"), check.Pass("a")
	for name, tc := range map[string]struct {
		drill check.Drill
		says  string
	}{
		"fires":             {check.Drill{Name: "a", Bad: bad, Good: good, Code: fault.Verification}, ""},
		"does not fire":     {check.Drill{Name: "a", Bad: good, Good: good, Code: fault.Verification}, "does not fire"},
		"with another code": {check.Drill{Name: "a", Bad: bad, Good: good, Code: fault.MissingAsset}, "does not fire"},
		"without cause":     {check.Drill{Name: "a", Bad: bad, Good: bad, Code: fault.Verification}, "without cause"},
		"skips the good case": {check.Drill{Name: "a", Bad: bad, Good: check.Skip("a", "r"), Code: fault.Verification},
			"without cause"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results := check.Fire([]check.Drill{tc.drill})
			require.Len(t, results, 1)
			require.Equal(t, "selftest: a", results[0].Name)
			require.Equal(t, tc.says == "", results.Err() == nil)
			require.Contains(t, results[0].Reason, tc.says)
		})
	}
}
