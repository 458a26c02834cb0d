package check_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func TestOnlyAnExplicitPassIsOne(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		results check.Results
		normal  fault.Code
		strict  fault.Code
	}{
		"pass":           {check.Results{check.Pass("a")}, 0, 0},
		"not applicable": {check.Results{check.NotApplicable("a", "r")}, 0, 0},
		"skipped":        {check.Results{check.Pass("a"), check.Skip("b", "no network")}, 0, fault.Verification},
		"failed": {check.Results{check.Pass("a"), check.Fail("b", fault.MissingAsset, "r", "x", "y")},
			fault.MissingAsset, fault.MissingAsset},
		"first failure": {check.Results{check.Fail("a", fault.Usage, "", "", ""),
			check.Fail("b", fault.MissingAsset, "", "", "")}, fault.Usage, fault.Usage},
		"no code":        {check.Results{{Name: "a", Status: check.Failed}}, fault.Verification, fault.Verification},
		"no status":      {check.Results{{Name: "a"}}, fault.Verification, fault.Verification},
		"strange status": {check.Results{{Name: "a", Status: "PASS"}}, fault.Verification, fault.Verification},
		"none":           {nil, fault.Verification, fault.Verification},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tc.normal, fault.CodeOf(tc.results.Err()))
			require.Equal(t, tc.strict, fault.CodeOf(tc.results.Strict().Err()))
			require.Equal(t, tc.normal, fault.CodeOf(tc.results.Err()), "Strict leaves the results alone")
		})
	}
}

func TestErrCarriesWhatThePersonNeeds(t *testing.T) {
	t.Parallel()
	err := check.Fail("checksum of a", fault.Verification, "differs", "aa", "bb").WithHint("upload again").Err()
	require.Equal(t, &fault.Error{Code: fault.Verification, Message: "checksum of a: differs", Expected: "aa", Got: "bb",
		Hint: "upload again"}, err)
}

func TestOf(t *testing.T) {
	t.Parallel()
	require.Equal(t, check.Pass("a"), check.Of("a", nil))
	f := &fault.Error{Code: fault.MissingAsset, Message: "gone", Expected: "x", Got: "y", Hint: "z"}
	r := check.Of("a", fmt.Errorf("wrapped: %w", f))
	require.Equal(t, check.Result{Name: "a", Status: check.Failed, Code: fault.MissingAsset, Reason: "wrapped: gone",
		Expected: "x", Got: "y", Hint: "z"}, r)
	require.Equal(t, fault.General, check.Of("a", errors.New("x")).Code)
}

func TestPrintAndCount(t *testing.T) {
	t.Parallel()
	results := check.Results{check.Pass("checksums"),
		check.Fail("sbom", fault.Verification, "differs", "aa", "bb").WithHint("look"),
		check.Skip("e2e", "no VM"), check.NotApplicable("policy", "node release"), {Name: "forgotten"}}
	var b bytes.Buffer
	results.Print(console.New(&b, false))
	require.Equal(t, `[PASS] checksums
[FAIL] sbom: differs
       Expected: aa
       Got:      bb
       Hint:     look
[WARN] e2e: skipped: no VM
[INFO] policy: not applicable: node release
[FAIL] forgotten
`, b.String())
	b.Reset()
	require.Equal(t, &fault.Error{Code: fault.Verification, Message: "2 of 5 checks failed", Hint: "look"},
		results.Report(console.New(&b, false)),
		"what was printed is not said again")
	require.Contains(t, b.String(), "[FAIL] sbom: differs")
	require.NoError(t, results[:1].Report(console.New(&b, false)))
	require.EqualError(t, check.Results{}.Report(console.New(&b, false)), "no check was made")
	require.Equal(t, 2, results.Count(check.Failed), "a result without a status counts as failed")
	require.Equal(t, 1, results.Count(check.Skipped))
}

// What could not be looked at is neither good nor bad, and no success of a stable release.
func TestUnseen(t *testing.T) {
	t.Parallel()
	r := check.Unseen("commit", "not in this clone", "git fetch")
	require.True(t, r.OK())
	require.Equal(t, "could not look: not in this clone", r.Reason)
	err := check.Results{r}.Strict().Err()
	require.Equal(t, fault.General, fault.CodeOf(err))
	require.ErrorContains(t, err, "not in this clone")
	require.Equal(t, fault.Verification, fault.CodeOf(check.Results{check.Skip("e2e", "no VM")}.Strict().Err()))
}
