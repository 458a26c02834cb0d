package propose

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Observation is a published-mrtds.json that was measured after the release.
type Observation struct {
	Profile   release.Profile // the one to refresh; empty for all
	Published []byte
	// Elsewhere says that the file is another release's own: the promoted
	// release is then the one that has the same image.
	Elsewhere bool
	Day       string // YYYY-MM-DD, of registers that nobody proposed yet
}

// Refresh proposes platform registers that were newly observed, next to the
// old ones: "Google's firmware moved". It needs no new image, and refuses one.
func Refresh(ctx context.Context, c *github.Client, before Set, o Observation) (*Proposal, error) {
	p, ev, err := stable(o.Published)
	if err != nil {
		return nil, err
	}
	name := "refresh-" + o.scope() + "-" + ev.Digest[len("sha256:"):][:12]
	if o.Day, err = firstSeen(ctx, c, name, ev.Digest, o.Day); err != nil {
		return nil, err
	}
	after, err := before.each(func(profile release.Profile, w *policies.Working) (*policies.Working, error) {
		if o.Profile != "" && o.Profile != profile {
			return w, nil
		}
		node, err := o.node(w, p.Tag, ev)
		if err != nil {
			return nil, err
		}
		return policies.Refresh(w, node, ev, o.Day)
	})
	if err != nil {
		return nil, err
	}
	says := fmt.Sprintf("The platform moved: the image of a promoted release shows other platform registers (MRTD, RTMR0) since %s. RTMR1 to RTMR3 are the promoted ones; the old registers stay allowed.", o.Day)
	return &Proposal{Name: name, Title: "Refresh the platform registers of " + o.scope() + ", first seen " + o.Day, Label: RefreshLabel,
		Before: before, After: after, Grounds: grounds(says, p, ev)}, nil
}

func (o Observation) scope() string {
	if o.Profile == "" {
		return "all"
	}
	return string(o.Profile)
}

// node is the promoted release whose image was observed.
func (o Observation) node(w *policies.Working, observed release.Tag, ev policies.Evidence) (release.Tag, error) {
	if !o.Elsewhere {
		return observed, nil
	}
	if node := w.ReleasedAs(ev.Registers[w.Profile]); !node.IsZero() {
		return node, nil
	}
	return release.Tag{}, &fault.Error{Code: fault.Verification, Message: fmt.Sprintf("no promoted release has the %s image of %s", w.Profile, observed),
		Expected: "the RTMR1, RTMR2 and RTMR3 of a promoted release", Got: "another image", Hint: "policy:promote -tag=" + observed.String()}
}

// firstSeen is the day that an open proposal of the same evidence gives, so
// that running again another day changes nothing; today otherwise.
func firstSeen(ctx context.Context, c *github.Client, name, evidence, today string) (string, error) {
	proposed, err := Load(ctx, c, branchOf(name))
	if errors.Is(err, github.ErrNotFound) {
		return today, nil
	}
	if err != nil {
		return "", err
	}
	for _, w := range proposed {
		if i := slices.IndexFunc(w.Measurements, func(m policies.Measurement) bool { return m.Refreshed() && m.Evidence == evidence }); i >= 0 {
			return w.Measurements[i].FirstSeen, nil
		}
	}
	return today, nil
}
