package reason_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/reason"
)

func TestWhatIsAReason(t *testing.T) {
	t.Parallel()
	for _, good := range []string{"CVE-2026-0001", "no TDX quota before Friday; ticket 7", "None of our hosts has TDX yet",
		"incident", strings.Repeat("é", reason.Max)} {
		require.NoError(t, reason.Check("a revocation", good), good)
	}
	for bad, flaw := range map[string]string{"": "says nothing", "  \t": "says nothing", "—!": "says nothing",
		"None.": "says that there is none", "n/a": "says that there is none", "N. A.": "says that there is none",
		"NOTHING": "says that there is none", "no": "says that there is none", "TODO": "still to be written",
		"t.b.d.": "still to be written", "REASON": "says that there is none",
		"to be determined": "still to be written", "TBA": "still to be written", "T.B.C.": "still to be written",
		"WIP": "still to be written", "Coming soon…": "still to be written", "to be filled in": "still to be written",
		"Lorem ipsum dolor": "still to be written", "two\nlines": "not one line",
		"hidden\u2060mark": "not one line", "\xff incident": "not one line", "turned\u202e": "not one line",
		strings.Repeat("y", reason.Max+1): "too long"} {
		err := reason.Check("a revocation", bad)
		require.Equal(t, fault.Usage, fault.CodeOf(err), bad)
		require.ErrorContains(t, err, "a revocation needs a reason, and it")
		require.ErrorContains(t, err, flaw, bad)
	}
}
