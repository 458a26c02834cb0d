package audit

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Published reads what node releases publish, each verified; one that does not exist
// is left out. An error that wraps policies.ErrNotAsked says why nobody was asked.
type Published func(context.Context, []release.Tag) (policies.Published, error)

const originsName = "policies admit what node releases publish"

// origins: a tuple names the node release that it comes from, and that release says
// which registers it has. A signature over the policy says neither.
func (a *auditor) origins(ctx context.Context, set map[release.Profile]*policies.Policy) {
	if a.Published == nil {
		return
	}
	var named []release.Tag
	for _, profile := range release.Profiles() {
		if p := set[profile]; p != nil {
			named = append(named, policies.NodeReleases(p.Measurements)...)
		}
	}
	published, err := a.Published(ctx, named)
	switch {
	case errors.Is(err, policies.ErrNotAsked):
		a.add(check.NotApplicable(originsName, err.Error()))
		return
	case err != nil:
		a.add(check.Of(originsName, err))
		return
	}
	sound := len(set) == len(release.Profiles()) // else that was said
	for _, profile := range release.Profiles() {
		if set[profile] == nil {
			continue
		}
		for _, m := range set[profile].Measurements {
			if err := published.Judge(profile, m, time.Now()); err != nil {
				sound = false
				a.add(check.Of(fmt.Sprintf("%s (%s, %s)", originsName, profile, m.NodeRelease), err).
					WithHint("do not use it for this profile: move to a later key service, policy:migrate " + a.Tag.String() + " TO"))
			}
		}
	}
	if sound {
		a.add(check.Pass(originsName))
	}
}
