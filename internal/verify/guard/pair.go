package guard

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// The four checks of guard 3.
const (
	existsName     = "guard 3: counterpart release exists"
	listedName     = "guard 3: catalog lists the pair"
	referencesName = "guard 3: policy references the counterpart's measurements"
	stableName     = "guard 3: a stable release has a stable counterpart"
)

// Releases is what guard 3 asks of the world. Drafts are not releases.
type Releases interface {
	// Tags lists the published releases of a family.
	Tags(ctx context.Context, f release.Family) ([]release.Tag, error)
	// Named reads what these node releases publish, verified; one that is not published is left out.
	Named(ctx context.Context, nodes []release.Tag) (policies.Published, error)
	// Policies reads the policies of a KMS release, verified.
	Policies(ctx context.Context, kms release.Tag) (map[release.Profile]*policies.Policy, error)
}

// PairInput is what guard 3 looks at.
type PairInput struct {
	Tag         release.Tag // about to be released
	Counterpart string      // value of the other family's version variable
	Releases    Releases
	Catalog     *catalog.Catalog
	CatalogPath string                                // where it lies in the repository, for the hint
	Working     map[release.Profile]*policies.Working // policies/, for a KMS release
	Evidence    evidence.Source                       // of E2E, as people reviewed it
	Now         time.Time                             // no measurement was seen after it
}

// Pair is guard 3, "KMS ↔ Node Dependency Guard": four results, always. In a
// stable release none of them may be skipped. An error means that the world
// could not be asked, not that the pair is wrong.
func Pair(ctx context.Context, in PairInput) (check.Results, error) {
	out, err := in.judge(ctx)
	if in.Tag.Stable() {
		out = out.Strict()
	}
	return out, err
}

func (in PairInput) judge(ctx context.Context) (check.Results, error) {
	family := in.Tag.Family.Counterpart()
	tags, err := in.Releases.Tags(ctx, family)
	if err != nil {
		return nil, fmt.Errorf("list releases of %s: %w", family, err)
	}
	if len(tags) == 0 && !in.Tag.Stable() {
		return firstRelease(in.Tag), nil
	}
	version, err := release.ParseVersion(in.Counterpart)
	if err != nil {
		return unnamed(in.Tag, err), nil
	}
	counterpart := release.Tag{Family: family, Version: version}
	out := check.Results{CounterpartExists(counterpart, tags),
		Listed(in.Catalog, in.CatalogPath, in.Tag, counterpart)}
	stable := StableCounterpart(in.Tag, counterpart, tags)
	if !out[0].OK() {
		return append(out, check.Skip(referencesName, counterpart.String()+" does not exist"), stable), nil
	}
	references, err := in.references(ctx, counterpart)
	return append(out, references, stable), err
}

// Each family needs the other, so the first release of all can have no
// counterpart. A release candidate passes then, and only then; a stable never does.
func firstRelease(t release.Tag) check.Results {
	reason := fmt.Sprintf("first release: there is no %s release yet", t.Family.Counterpart())
	return check.Results{check.NotApplicable(existsName, reason), check.NotApplicable(listedName, reason),
		check.NotApplicable(referencesName, reason), check.NotApplicable(stableName, reason)}
}

// unnamed is the answer when the variable does not name a counterpart.
func unnamed(t release.Tag, err error) check.Results {
	name := t.Family.Counterpart().VersionVariable()
	exists := check.Of(existsName, &fault.Error{Code: fault.Usage, Message: name + " does not name the counterpart",
		Err:      err,
		Expected: "X.Y.Z or X.Y.Z-rc.N", Hint: "set the repository variable " + name})
	reason := name + " names no version"
	return check.Results{exists, check.Skip(listedName, reason), check.Skip(referencesName, reason),
		check.Skip(stableName, reason)}
}

// CounterpartExists is check 1: "the counterpart release tag exists".
func CounterpartExists(counterpart release.Tag, published []release.Tag) check.Result {
	if slices.Contains(published, counterpart) {
		return check.Pass(existsName)
	}
	name, hint := counterpart.Family.VersionVariable(), ""
	got := fmt.Sprintf("no %s release", counterpart.Family)
	if len(published) > 0 {
		newest := slices.MaxFunc(published, func(a, b release.Tag) int { return a.Version.Compare(b.Version) })
		got = fmt.Sprintf("%d other releases, the newest %s", len(published), newest)
		hint = fmt.Sprintf("set %s to a release that exists, such as %s, or release %s first", name, newest.Version,
			counterpart)
	} else {
		hint = fmt.Sprintf("release a candidate first: %s-v%s-rc.1", counterpart.Family, counterpart.Version.Final())
	}
	return check.Fail(existsName, fault.Verification, counterpart.String()+" is not released", counterpart.String(),
		got).WithHint(hint)
}

// StableCounterpart wants a stable release to be tested with what is in
// production, not with a candidate, which is "not for production deployment". Only while the
// other family has no stable release at all, a candidate has to do.
func StableCounterpart(t, counterpart release.Tag, published []release.Tag) check.Result {
	if !t.Stable() {
		return check.NotApplicable(stableName, t.String()+" is a candidate")
	}
	if counterpart.Stable() {
		return check.Pass(stableName)
	}
	var newest release.Tag
	for _, p := range published {
		if p.Stable() && (newest.IsZero() || p.Version.Compare(newest.Version) > 0) {
			newest = p
		}
	}
	if newest.IsZero() {
		return check.Pass(stableName).Noting(fmt.Sprintf("there is no stable %s release yet: %s waits as a pre-release "+
			"until one was tested with it", counterpart.Family, t))
	}
	name := counterpart.Family.VersionVariable()
	return check.Fail(stableName, fault.Verification, fmt.Sprintf("%s is paired with a candidate", t),
		fmt.Sprintf("a stable %s release, such as %s", counterpart.Family, newest), counterpart.String()).
		WithHint(fmt.Sprintf("set %s to %s, or release %s first", name, newest.Version, release.Tag{
			Family: counterpart.Family, Version: counterpart.Version.Final()}))
}

// Listed is check 2: "the compatibility catalog lists the pair".
func Listed(c *catalog.Catalog, path string, a, b release.Tag) check.Result {
	p := catalog.PairOf(a, b)
	if len(c.Find(p.KMS, p.NodeImage)) > 0 {
		return check.Pass(listedName)
	}
	return check.Fail(listedName, fault.Verification, "the pair is not in the compatibility catalog",
		fmt.Sprintf("an entry for kms %s with node_image %s", p.KMS.Final(), p.NodeImage.Final()),
		fmt.Sprintf("%d entries, none for this pair", len(c.Entries))).
		WithHint("declare the pair in " + path + ` ("tested": false) by a pull request`)
}

func (in PairInput) references(ctx context.Context, counterpart release.Tag) (check.Result, error) {
	r, tuples, err := in.compared(ctx, counterpart)
	if err != nil || !r.OK() {
		return r, err
	}
	return in.vouched(ctx, r, tuples)
}

// compared is check 3 by what is published, and the tuples that are enforced.
func (in PairInput) compared(ctx context.Context, counterpart release.Tag) (check.Result, Tuples, error) {
	if in.Tag.Family == release.KMS {
		tuples := standing(in.Working)
		published, err := in.Releases.Named(ctx, append(tuples.releases(), counterpart))
		if err != nil {
			return check.Result{}, nil, err
		}
		return in.WorkingReferences(counterpart, published), tuples, nil
	}
	set, err := in.Releases.Policies(ctx, counterpart)
	if err != nil {
		return check.Result{}, nil, fmt.Errorf("policies of %s: %w", counterpart, err)
	}
	published, err := in.Releases.Named(ctx, held(set).releases())
	if err != nil {
		return check.Result{}, nil, err
	}
	return in.PolicyReferences(counterpart, set, published), enforced(set), nil
}

// WorkingReferences is check 3 for a KMS release: every tuple in policies/ that is
// not revoked is what the node release publishes that it names, and none of the
// counterpart's is revoked. A stable release needs one of the counterpart in every
// profile; a candidate may go without, with policy_not_ready.
func (in PairInput) WorkingReferences(counterpart release.Tag, published policies.Published) check.Result {
	var missing []string
	for _, p := range release.Profiles() {
		w := in.Working[p]
		if w == nil {
			return check.Fail(referencesName, fault.MissingAsset, "no working policy", policies.File(p), "nothing")
		}
		named := policies.Naming(w.Measurements, counterpart)
		if len(named) == 0 {
			missing = append(missing, string(p))
		}
		for _, m := range named {
			if r := w.Revocation(m.Registers); r != nil {
				return check.Fail(referencesName, fault.Verification, fmt.Sprintf("the %s measurement of %s is revoked: %s", p,
					counterpart, r.Reason), "a measurement that stands", m.MRTD.String())
			}
		}
		for _, m := range w.Standing() {
			if err := published.Judge(p, m, in.Now); err != nil {
				return check.Of(referencesName, err).WithHint("revoke or remove the tuple by a pull request: docs/policies.md")
			}
		}
	}
	if len(missing) == 0 {
		return check.Pass(referencesName)
	}
	return unreferenced(in.Tag, fmt.Sprintf("no measurement of %s is promoted for %s", counterpart,
		strings.Join(missing, ", ")), "policy:promote")
}

// PolicyReferences is check 3 for a node release: every tuple in the
// counterpart KMS's published policies comes from a node release that exists
// and publishes it.
func (in PairInput) PolicyReferences(kms release.Tag, set map[release.Profile]*policies.Policy,
	published policies.Published) check.Result {
	tuples := 0
	for _, p := range release.Profiles() {
		policy := set[p]
		if policy == nil {
			return check.Fail(referencesName, fault.MissingAsset, kms.String()+" lacks a policy", release.PolicyAsset(p),
				"nothing")
		}
		for _, m := range policy.Measurements {
			tuples++
			if err := published.Judge(p, m, in.Now); err != nil {
				return check.Of(referencesName, fmt.Errorf("%s of %s: %w", release.PolicyAsset(p), kms, err))
			}
		}
	}
	if tuples == 0 {
		return unreferenced(in.Tag, fmt.Sprintf("the policies of %s hold no measurement yet", kms),
			"release a KMS candidate that is paired with a node release")
	}
	return check.Pass(referencesName)
}

// unreferenced is what having nothing to compare means for the class of the release.
func unreferenced(t release.Tag, reason, hint string) check.Result {
	if t.Stable() {
		return check.Fail(referencesName, fault.Verification, reason,
			"a measurement of the counterpart in every profile's policy", "none").WithHint(hint)
	}
	return check.NotApplicable(referencesName, reason+" (policy_not_ready)")
}
