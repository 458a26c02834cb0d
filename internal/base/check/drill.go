package check

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// Drill is a check with a case in which it must fire and one in which it must
// not: the built-in proof that a rule can say no.
type Drill struct {
	Name      string
	Bad, Good Result
	Code      fault.Code // of Bad
}

// Fires says whether the check fires with its code in the bad case and passes the good one.
func (d Drill) Fires() Result {
	name := "selftest: " + d.Name
	switch code := fault.CodeOf(d.Bad.Err()); {
	case code != d.Code:
		return Fail(name, fault.Verification, "the guard does not fire", fmt.Sprintf("code %d", d.Code),
			fmt.Sprintf("code %d", code))
	case d.Good.Status != Passed:
		return Fail(name, fault.Verification, "the guard fires without cause", "pass",
			string(d.Good.Status)+" "+d.Good.Reason)
	}
	return Pass(name)
}

// Fire runs the drills.
func Fire(drills []Drill) Results {
	var out Results
	for _, d := range drills {
		out = append(out, d.Fires())
	}
	return out
}
