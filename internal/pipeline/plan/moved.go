package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

const (
	comparedName = "hotfix: registers are compared with the patched release"
	policyName   = "hotfix: the policy follows the registers"
	catalogName  = "hotfix: the catalog follows the registers"
)

// Moved are the profiles in which what a hotfix measures differs from the release that it patches.
type Moved map[release.Profile]Move

// Move is what a hotfix measures now. A key service may move its compose file alone: then its registers did not.
type Move struct {
	Now       measurement.Profile `json:"now"`
	Registers bool                `json:"registers"`
}

// Compare finds what moved: MRTD, any RTMR, and of a key service its compose
// file or its operating system, which its RTMR3 holds. before is what the
// patched release publishes; nil when it could not be read, which a hotfix does
// not get past.
func (d Decision) Compare(before, after *measurement.Published) (Moved, check.Result) {
	if d.Class != release.Hotfix {
		return nil, check.NotApplicable(comparedName, "not a hotfix")
	}
	if before == nil || after == nil {
		return nil, check.Skip(comparedName, fmt.Sprintf("the measurements of %s are not known", d.Patched))
	}
	moved := Moved{}
	for _, p := range release.Profiles() {
		was, is := before.Profiles[p], after.Profiles[p]
		registers := was.Registers() != is.Registers() || was.Image.OSImageHash != is.Image.OSImageHash
		if registers || was.Image.ComposeHash != is.Image.ComposeHash {
			moved[p] = Move{is, registers}
		}
	}
	return moved, check.Pass(comparedName).Noting(moved.String())
}

func (m Moved) String() string {
	if len(m) == 0 {
		return "nothing moved"
	}
	return "moved: " + strings.Join(m.profiles(), ", ")
}

// Registers says whether a register moved, and not compose files alone.
func (m Moved) Registers() bool {
	for _, move := range m {
		if move.Registers {
			return true
		}
	}
	return false
}

// profiles are their names, in the spec's order.
func (m Moved) profiles() []string {
	var out []string
	for _, p := range release.Profiles() {
		if _, there := m[p]; there {
			out = append(out, string(p))
		}
	}
	return out
}

// Governed is what people have merged about measurements: on main, when a hotfix is to be promoted. A change that
// only touches the files is none: the very values must be there.
type Governed struct {
	Policies  map[release.Profile]*policies.Working // of nodes; nil for a key service
	Platforms *measurement.Platforms                // of key services; nil for a node image
	Catalog   *catalog.Catalog
}

// Followed is the spec's "if MRTD changes, must update policy and catalog", for what moved. The policy of a node
// image are the working policies; that of a key service, which no working policy names, is the platforms file.
//
// A node's registers are known when its image has booted, so the tagged commit need not have them: they are demanded
// before the promotion, of what is merged by then. Until then the hotfix is a pre-release.
func (m Moved) Followed(tag, counterpart release.Tag, g Governed) check.Results {
	if len(m) == 0 {
		none := "nothing moved"
		return check.Results{check.NotApplicable(policyName, none), check.NotApplicable(catalogName, none)}
	}
	policy := check.NotApplicable(policyName, "no register moved")
	switch {
	case !m.Registers():
	case tag.Family == release.KMS:
		policy = m.inPlatforms(g.Platforms)
	default:
		policy = m.inPolicies(tag, g.Policies)
	}
	return check.Results{policy, m.inCatalog(tag, counterpart, g.Catalog)}
}

func (m Moved) inPolicies(tag release.Tag, working map[release.Profile]*policies.Working) check.Result {
	var missing []string
	for _, p := range release.Profiles() {
		move := m[p]
		if r := move.Now.Registers(); move.Registers && !admits(working[p], r) {
			missing = append(missing, string(p)+": "+listed(r))
		}
	}
	if len(missing) == 0 {
		return check.Pass(policyName)
	}
	return check.Fail(policyName, fault.Verification, "main's working policies do not admit what this release measures",
		strings.Join(missing, "; "), "no such measurement").
		WithHint("go tool mage policy:promote -tag=" + tag.String() + ", have it merged, and run the promotion again; " +
			"the release stays a pre-release until then")
}

func admits(w *policies.Working, r tdx.Registers) bool {
	return w != nil && w.Revocation(r) == nil &&
		slices.ContainsFunc(w.Measurements, func(m policies.Measurement) bool { return m.Registers == r })
}

func listed(r tdx.Registers) string {
	values, out := r.Values(), []string(nil)
	for i, name := range tdx.RegisterNames() {
		out = append(out, fmt.Sprintf("%s %.12s…", name, values[i]))
	}
	return strings.Join(out, ", ")
}

func (m Moved) inPlatforms(platforms *measurement.Platforms) check.Result {
	var missing []string
	for _, p := range release.Profiles() {
		if move := m[p]; move.Registers && !listedPlatform(platforms, move.Now) {
			missing = append(missing, fmt.Sprintf("%s: %s with %s", p, move.Now.Image.OSImage,
				listed(move.Now.Registers())))
		}
	}
	if len(missing) == 0 {
		return check.Pass(policyName)
	}
	return check.Fail(policyName, fault.Verification, "main's platforms file does not have what this release measures",
		strings.Join(missing, "; "), "no such entry").
		WithHint("bring docker/mero-kms/dstack-platforms.json of the hotfix to main (kms:observe proposes an entry), " +
			"and run the promotion again; the release stays a pre-release until then")
}

func listedPlatform(platforms *measurement.Platforms, now measurement.Profile) bool {
	if platforms == nil {
		return false
	}
	entry, err := platforms.Named(now.Image.OSImage)
	return err == nil && entry.OSImageHash == now.Image.OSImageHash && entry.MRTD == now.MRTD &&
		entry.RTMR0 == now.RTMR0 && entry.RTMR1 == now.RTMR1 && entry.RTMR2 == now.RTMR2
}

// inCatalog wants the pair itself, for every profile that moved: a catalog that changed elsewhere did not follow.
func (m Moved) inCatalog(tag, counterpart release.Tag, c *catalog.Catalog) check.Result {
	pair := catalog.PairOf(tag, counterpart)
	listed := map[release.Profile]bool{}
	if c != nil {
		for _, e := range c.Find(pair.KMS, pair.NodeImage) {
			for _, p := range e.Profiles {
				listed[p] = true
			}
		}
	}
	missing := slices.DeleteFunc(m.profiles(), func(p string) bool { return listed[release.Profile(p)] })
	if len(missing) == 0 {
		return check.Pass(catalogName)
	}
	return check.Fail(catalogName, fault.Verification,
		"main's catalog does not list the pair for every profile that moved",
		fmt.Sprintf("%s with %s: %s", tag, counterpart, strings.Join(missing, ", ")), "no such entry").
		WithHint("declare the pair in the catalog by a pull request to main, and run the promotion again")
}
