package propose

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/diff"
)

// Voucher is what lets a node release into the policies.
type Voucher struct {
	Tests      policies.Tests // as they are on the main branch
	WithoutE2E string         // why nobody asks for them; empty: a successful E2E of every profile
}

// Promote proposes the measurements of a node release for all profiles.
// published is its audited published-mrtds.json. "Once E2E tests confirm
// stable MRTD/RTMR values, the policy is updated with actual measurements."
// Without a successful E2E of every profile, of these very bytes and registers,
// the errors are those of policies.Tests.
func Promote(before Set, published []byte, v Voucher) (*Proposal, error) {
	p, ev, err := stable(published)
	if err != nil {
		return nil, err
	}
	after, err := before.each(func(profile release.Profile, w *policies.Working) (*policies.Working, error) {
		if v.WithoutE2E != "" {
			return policies.PromoteUntested(w, ev, v.WithoutE2E)
		}
		out, err := policies.Promote(w, ev)
		if err != nil {
			return nil, err
		}
		for _, m := range policies.Naming(out.Measurements, ev.Tag) {
			if err := v.Tests.CheckTested(profile, m); err != nil {
				return nil, err
			}
		}
		return out, nil
	})
	if err != nil {
		return nil, err
	}
	text := grounds("Promotes what "+p.Tag.String()+" publishes, for all profiles.", p, ev) + v.grounds(p.Tag)
	return &Proposal{Name: "promote-" + p.Tag.String(), Title: "Promote the measurements of " + p.Tag.String(),
		Label: PromotionLabel, Before: before, After: after, Grounds: text}, nil
}

// grounds names the tests that vouch for the release, or says that none does.
func (v Voucher) grounds(node release.Tag) string {
	var b strings.Builder
	b.WriteString("\n## End-to-end test\n\n")
	if v.WithoutE2E != "" {
		fmt.Fprintf(&b, "**Promoted without E2E**: %s\n\nThe reason stays in the policies as `without_e2e`.\n",
			diff.Cell(v.WithoutE2E))
		return b.String()
	}
	for _, e := range v.Tests[node] {
		outcome, run := "passed", ""
		if len(e.Failed()) > 0 {
			outcome = "failed"
		}
		if e.Run != "" {
			run = ", [run](" + e.Run + ")"
		}
		fmt.Fprintf(&b, "- `%s`: %s with `%s` at %s%s\n", e.Path(), outcome, e.KMS.Release, e.At, run)
	}
	return b.String()
}

// stable reads a node release's measurements and refuses what one boot alone vouches for.
func stable(published []byte) (*measurement.Published, policies.Evidence, error) {
	p, err := measurement.Decode(published)
	if err != nil {
		return nil, policies.Evidence{}, err
	}
	if err := policies.CheckStable(p); err != nil {
		return nil, policies.Evidence{}, err
	}
	ev, err := policies.EvidenceOf(published)
	return p, ev, err
}

// grounds are the digests that vouch for measurements, for all profiles of the file.
func grounds(says string, p *measurement.Published, ev policies.Evidence) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n## Evidence\n\n- release: `%s`, built from commit `%s`\n- `%s`: `%s`\n\n", says, p.Tag,
		p.Commit, release.MeasurementsAsset, ev.Digest)
	b.WriteString("| profile | boots that agreed | quote | event log | collateral | image |\n|---|---|---|---|---|---|\n")
	for _, name := range release.Profiles() {
		m := p.Profiles[name]
		e := m.Evidence
		fmt.Fprintf(&b, "| %s | %d | `%s` | `%s` | `%s` | `%s` |\n", name, e.Boots, e.Quote, e.EventLog, e.Collateral,
			m.Image.Digest)
	}
	b.WriteString("\nRTMR3 of each profile equals its formula.\n")
	return b.String()
}

// Observation is a published-mrtds.json that was measured after the release.
type Observation struct {
	Profile   release.Profile // the one to refresh; empty for all
	Published []byte
	// Elsewhere says that the file is another release's own: the promoted
	// release is then the one that has the same image.
	Elsewhere bool
	Day       string // YYYY-MM-DD, of registers that nobody proposed yet
	Platform  Platform
}

// Refresh proposes platform registers that were newly observed, next to the
// old ones: "Google's firmware moved". It needs no new image, and refuses one.
// An RTMR0 that nobody has seen needs the event logs that explain it.
func Refresh(ctx context.Context, c *github.Client, before Set, o Observation) (*Proposal, error) {
	p, ev, err := stable(o.Published)
	if err != nil {
		return nil, err
	}
	name := "refresh-" + o.scope() + "-" + ev.Digest[len("sha256:"):][:12]
	if o.Day, err = firstSeen(ctx, c, name, ev.Digest, o.Day); err != nil {
		return nil, err
	}
	if err := o.Platform.check(); err != nil {
		return nil, err
	}
	var moves []moved
	after, err := before.each(func(profile release.Profile, w *policies.Working) (*policies.Working, error) {
		if o.Profile != "" && o.Profile != profile {
			return w, nil
		}
		out, why, err := o.refresh(profile, w, p.Tag, ev)
		moves = append(moves, why...)
		return out, err
	})
	if err != nil {
		return nil, err
	}
	if err := o.Platform.unused(moves); err != nil {
		return nil, err
	}
	says := fmt.Sprintf("The platform moved: the image of a promoted release shows other platform registers (MRTD, "+
		"RTMR0) since %s. RTMR1 to RTMR3 are the promoted ones; the old registers stay allowed.", o.Day)
	return &Proposal{Name: name, Title: "Refresh the platform registers of " + o.scope() + ", first seen " + o.Day,
		Label:  RefreshLabel,
		Before: before, After: after, Grounds: grounds(says, p, ev) + o.Platform.page(moves)}, nil
}

// refresh is one profile's policy with what was observed, and what moved its RTMR0.
func (o Observation) refresh(profile release.Profile, w *policies.Working, observed release.Tag,
	ev policies.Evidence) (*policies.Working, []moved, error) {
	node, err := o.node(w, observed, ev)
	if err != nil {
		return nil, nil, err
	}
	out, err := policies.Refresh(w, node, ev, o.Day)
	if err != nil {
		return nil, nil, err
	}
	stands, seen := policies.Naming(w.Measurements, node), ev.Registers[profile]
	if slices.ContainsFunc(stands, func(m policies.Measurement) bool { return m.RTMR0 == seen.RTMR0 }) {
		return out, nil, nil
	}
	why, err := o.Platform.explain(profile, stands, seen)
	return out, why, err
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
	return release.Tag{}, &fault.Error{Code: fault.Verification,
		Message:  fmt.Sprintf("no promoted release has the %s image of %s", w.Profile, observed),
		Expected: "the RTMR1, RTMR2 and RTMR3 of a promoted release", Got: "another image", Hint: "policy:promote -tag=" +
			observed.String()}
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
		if i := slices.IndexFunc(w.Measurements,
			func(m policies.Measurement) bool { return m.Refreshed() && m.Evidence == evidence }); i >= 0 {
			return w.Measurements[i].FirstSeen, nil
		}
	}
	return today, nil
}
