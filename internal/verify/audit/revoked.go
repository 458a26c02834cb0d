package audit

import (
	"context"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Revoked reads what people revoked, by profile, also after the release. An error
// that wraps policies.ErrNotAsked says why nobody was asked: the release is judged
// without it, and the report says so.
type Revoked func(context.Context) (map[release.Profile][]policies.Revocation, error)

const revokedName = "policies admit no revoked measurement"

// revocations: a measurement that was revoked after the release is no fault of
// its bytes, which are what they were. But whoever runs its policy still gives
// keys to nodes that nobody should trust any more, and the release says no word of it.
func (a *auditor) revocations(ctx context.Context, set map[release.Profile]*policies.Policy) {
	if a.Revoked == nil {
		return
	}
	revoked, err := a.Revoked(ctx)
	switch {
	case errors.Is(err, policies.ErrNotAsked): // whoever verifies a folder asked for a judgement without GitHub
		a.add(check.NotApplicable(revokedName, err.Error()))
		return
	case err != nil:
		a.add(check.Of(revokedName, err))
		return
	}
	clean := true
	for _, p := range release.Profiles() {
		if set[p] == nil { // said above
			clean = false
			continue
		}
		for _, r := range set[p].StillAdmits(revoked[p]) {
			clean = false
			a.add(check.Fail(fmt.Sprintf("%s (%s)", revokedName, p), fault.Verification,
				"the release is what was built, but its policy admits "+r.What(), "none of the revoked ones", r.MRTD.String()).
				WithHint("do not use it for this profile: move to a later key service, policy:migrate " + a.Tag.String() +
					" TO; if there is none, release one"))
		}
	}
	if clean {
		a.add(check.Pass(revokedName))
	}
}
