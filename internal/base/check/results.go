package check

import (
	"cmp"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Results are the results of one judgement, in the order in which they were made.
type Results []Result

// Err is the first failure. No result at all is a failure too: a judgement
// that looked at nothing has found nothing in order.
func (rs Results) Err() error {
	if len(rs) == 0 {
		return fault.Mismatch("no check was made", "at least one", "none")
	}
	for _, r := range rs {
		if err := r.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Report prints the results and returns the error that is left to say: how many
// failed, with the code of the first failure and the first hint. What was
// expected and found stands in the lines that were printed.
func (rs Results) Report(c *console.Console) error {
	rs.Print(c)
	first := rs.Err()
	if first == nil || len(rs) == 0 {
		return first
	}
	out := &fault.Error{Code: fault.CodeOf(first),
		Message: fmt.Sprintf("%d of %d checks failed", rs.Count(Failed), len(rs))}
	for _, r := range rs {
		if !r.OK() && out.Hint == "" {
			out.Hint = r.Hint
		}
	}
	return out
}

// Strict is what a stable release makes of the results: "a stable release
// refuses skipped". What was skipped for a reason with a code of its own, as
// what could not be looked at, fails with that. The results themselves are left
// as they were.
func (rs Results) Strict() Results {
	out := make(Results, len(rs))
	for i, r := range rs {
		if r.Status == Skipped {
			r = Fail(r.Name, cmp.Or(r.Code, fault.Verification), "skipped: "+r.Reason,
				"every check made, in a stable release", "skipped").WithHint(r.Hint)
		}
		out[i] = r
	}
	return out
}

// Count says how many results have the status; one without any counts as failed.
func (rs Results) Count(s Status) int {
	n := 0
	for _, r := range rs {
		if r.Status == s || (s == Failed && !r.OK() && r.Status != Failed) {
			n++
		}
	}
	return n
}

// Print writes one line per result, "[PASS] name" or "[FAIL] name", failures
// with Expected, Got and Hint below.
func (rs Results) Print(c *console.Console) {
	for _, r := range rs {
		r.Print(c)
	}
}

// Print writes the result's line with its reason and, for a failure, what explains it.
func (r Result) Print(c *console.Console) {
	switch r.Status {
	case Passed:
		c.Printf(console.Pass, "%s", r.title())
		return
	case Inapplicable:
		c.Infof("%s: not applicable: %s", r.Name, r.Reason)
		return
	case Skipped:
		c.Warnf("%s: skipped: %s", r.Name, r.Reason)
		return
	}
	c.Printf(console.Fail, "%s", r.title())
	for _, p := range [][2]string{{"Expected:", r.Expected}, {"Got:     ", r.Got}, {"Hint:    ", r.Hint}} {
		if p[1] != "" {
			c.Detail("%s %s", p[0], p[1])
		}
	}
}

func (r Result) title() string {
	if r.Reason == "" {
		return r.Name
	}
	return fmt.Sprintf("%s: %s", r.Name, r.Reason)
}
