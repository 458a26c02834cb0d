package audit

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/release"
)

// asOf says what the machines were worth when they were measured.
func asOf(seen []*evidence.Observation) string {
	var statuses []string
	for _, o := range seen {
		statuses = append(statuses, string(o.Verdict.TCB))
	}
	slices.Sort(statuses)
	return fmt.Sprintf("TCB %s on %s", strings.Join(slices.Compact(statuses), ", "),
		day(seen[len(seen)-1].Verdict.At))
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// today is a line of its own: what Intel says by now of the machines that were
// measured. No byte of a release changes with it, and what was genuine is not
// called forged. Whether a status is good enough is for the policies to say; but
// whoever holds a key that Intel revoked can make such quotes at will, so that fails.
func (a *auditor) today(ctx context.Context, p release.Profile, seen []*evidence.Observation) check.Result {
	name := "today's TCB of " + string(p)
	switch {
	case a.Offline:
		return check.NotApplicable(name, "Intel was not asked: this is a judgement without the network")
	case a.Verifier == nil:
		return check.Skip(name, "no verifier of TDX quotes")
	}
	var worst check.Result
	for i, o := range seen {
		now, err := o.Today(ctx, a.Verifier)
		if r := standing(name, o, now, err); i == 0 || graver(r, worst) {
			worst = r
		}
	}
	return worst
}

// graver: a failure, then what could not be looked at, then what is said of a pass.
func graver(a, b check.Result) bool {
	rank := func(r check.Result) int {
		switch {
		case !r.OK():
			return 3
		case r.Status != check.Passed:
			return 2
		case strings.Contains(r.Reason, changed):
			return 1
		}
		return 0
	}
	return rank(a) > rank(b)
}

// changed separates what was from what is.
const changed = " then; "

// standing is what a verdict of today, or the want of one, means for a boot that was proven.
func standing(name string, o *evidence.Observation, now *tdx.Verdict, err error) check.Result {
	then := string(o.Verdict.TCB) + changed
	var unrated *tdx.Unrated
	var revoked *tdx.Revocation
	var never *tdx.Violation
	var ended *tdx.Ended
	switch {
	case err == nil && now.TCB == o.Verdict.TCB:
		return check.Pass(name).Noting(string(now.TCB) + ", as it was then")
	case err == nil:
		return check.Pass(name).Noting(fmt.Sprintf("%s%s since %s at the latest%s", then, now.TCB, day(now.Issued),
			because(now)))
	case errors.As(err, &unrated):
		return check.Pass(name).Noting(fmt.Sprintf("%sno level any more in Intel's collateral of %s (evaluation number %d), "+
			"which drops levels after a recovery: no byte of the release changed", then, day(unrated.Issued),
			unrated.EvaluationNumber))
	case errors.As(err, &ended):
		return check.Pass(name).Noting(then + ended.Error() + ", and Intel says nothing of its machine any more")
	case errors.As(err, &revoked):
		return check.Fail(name, fault.Verification, then+"a certificate under its quotes is revoked by now",
			"certificates that Intel has not revoked", revoked.Error()).WithHint(leave)
	case errors.As(err, &never) && never.Field == "tcb_status":
		return check.Fail(name, fault.Verification, then+never.Got+" by now", never.Want, never.Got).WithHint(leave)
	case errors.Is(err, tdx.ErrCollateral):
		return check.Unseen(name, string(o.Verdict.TCB)+" then; what Intel says today cannot be had: "+innermost(err),
			"ask again later; a folder with the assets is judged without asking by -offline=DIR")
	}
	return check.Unseen(name, then+"by today's collateral it cannot be judged: "+innermost(err),
		"its boots were proven as of their time; what moved since is Intel's collateral")
}

const leave = "the release is what was built, but whoever has such a key can make its quotes: " +
	"move to a release that was measured on other machines"

func because(v *tdx.Verdict) string {
	if len(v.Advisories) == 0 {
		return ""
	}
	return " (" + strings.Join(v.Advisories, ", ") + ")"
}

// innermost leaves out the words of a verifier that judges a challenge of now:
// there "not genuine" and "undecided" are about whoever answers it.
func innermost(err error) string {
	if no := new(tdx.NotGenuine); errors.As(err, &no) {
		return no.Err.Error()
	}
	return err.Error()
}
