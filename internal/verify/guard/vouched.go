package guard

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Tuples are the measurements that a set of policies enforces, by profile.
type Tuples map[release.Profile][]policies.Measurement

// standing are those of the working policies that are not revoked.
func standing(set map[release.Profile]*policies.Working) Tuples {
	out := Tuples{}
	for p, w := range set {
		out[p] = w.Standing()
	}
	return out
}

// enforced are those of released policies: one that is not ready enforces none.
func enforced(set map[release.Profile]*policies.Policy) Tuples {
	out := Tuples{}
	for p, policy := range set {
		if !policy.NotReady() {
			out[p] = policy.Measurements
		}
	}
	return out
}

// held are all of released policies, ready or not.
func held(set map[release.Profile]*policies.Policy) Tuples {
	out := Tuples{}
	for p, policy := range set {
		out[p] = policy.Measurements
	}
	return out
}

// releases are the node releases that the tuples of all profiles name.
func (t Tuples) releases() (out []release.Tag) {
	for _, p := range release.Profiles() {
		out = append(out, policies.NodeReleases(t[p])...)
	}
	return out
}

// vouched is check 3 by the evidence of E2E: "only verified measurements from
// successful E2E runs". r is what the check found before. Evidence that is
// broken is refused; evidence that could not be read is an error.
func (in PairInput) vouched(ctx context.Context, r check.Result, tuples Tuples) (check.Result, error) {
	var all []policies.Measurement
	for _, p := range release.Profiles() {
		all = append(all, tuples[p]...)
	}
	if !slices.ContainsFunc(all, func(m policies.Measurement) bool { return m.WithoutE2E == "" }) {
		return Vouched(r, tuples, nil), nil
	}
	if in.Evidence == nil {
		return check.Result{}, errors.New("nobody said where the evidence of E2E lies")
	}
	tests, err := policies.ReadTests(ctx, in.Evidence, all)
	switch {
	case fault.CodeOf(err) == fault.Verification:
		return check.Of(referencesName, err), nil
	case err != nil:
		return check.Result{}, fmt.Errorf("evidence of E2E: %w", err)
	}
	return Vouched(r, tuples, tests), nil
}

// Vouched refuses tuples of node releases for which no successful E2E vouches,
// unless they were promoted with a reason to go without; then it says which.
func Vouched(r check.Result, tuples Tuples, tests policies.Tests) check.Result {
	var without []string
	for _, p := range release.Profiles() {
		for _, m := range tuples[p] {
			if err := tests.CheckTested(p, m); err != nil {
				return check.Of(referencesName, fmt.Errorf("%s: %w", policies.File(p), err))
			}
		}
		for _, m := range policies.Untested(tuples[p]) {
			line := fmt.Sprintf("%s without E2E: %s", m.NodeRelease, m.WithoutE2E)
			if !slices.Contains(without, line) {
				without = append(without, line)
			}
		}
	}
	if len(without) > 0 && r.Status == check.Passed {
		return r.Noting(strings.Join(without, "; "))
	}
	return r
}
