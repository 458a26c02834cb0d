package propose

import (
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Promote proposes the measurements of a node release for all profiles.
// published is its audited published-mrtds.json. "Once E2E tests confirm
// stable MRTD/RTMR values, the policy is updated with actual measurements."
func Promote(before Set, published []byte) (*Proposal, error) {
	p, ev, err := stable(published)
	if err != nil {
		return nil, err
	}
	after, err := before.each(func(_ release.Profile, w *policies.Working) (*policies.Working, error) {
		return policies.Promote(w, ev)
	})
	if err != nil {
		return nil, err
	}
	return &Proposal{Name: "promote-" + p.Tag.String(), Title: "Promote the measurements of " + p.Tag.String(), Label: PromotionLabel,
		Before: before, After: after, Grounds: grounds("Promotes what "+p.Tag.String()+" publishes, for all profiles.", p, ev)}, nil
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
	fmt.Fprintf(&b, "%s\n\n## Evidence\n\n- release: `%s`, built from commit `%s`\n- `%s`: `%s`\n\n", says, p.Tag, p.Commit, release.MeasurementsAsset, ev.Digest)
	b.WriteString("| profile | boots that agreed | quote | event log | collateral | image |\n|---|---|---|---|---|---|\n")
	for _, name := range release.Profiles() {
		m := p.Profiles[name]
		e := m.Evidence
		fmt.Fprintf(&b, "| %s | %d | `%s` | `%s` | `%s` | `%s` |\n", name, e.Boots, e.Quote, e.EventLog, e.Collateral, m.Image.Digest)
	}
	b.WriteString("\nRTMR3 of each profile equals its formula.\n")
	return b.String()
}
