package guard

import (
	"context"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// The three checks of guard 3.
const (
	existsName     = "guard 3: counterpart release exists"
	listedName     = "guard 3: catalog lists the pair"
	referencesName = "guard 3: policy references the counterpart's measurements"
)

// Releases is what guard 3 asks of the world. Drafts are not releases.
type Releases interface {
	// Tags lists the published releases of a family.
	Tags(ctx context.Context, f release.Family) ([]release.Tag, error)
	// Measurements reads what a node release publishes, verified.
	Measurements(ctx context.Context, node release.Tag) (policies.Evidence, error)
	// Policies reads the policies of a KMS release, verified.
	Policies(ctx context.Context, kms release.Tag) (map[release.Profile]*policies.Policy, error)
}

// PairInput is what guard 3 looks at.
type PairInput struct {
	Tag         release.Tag // about to be released
	Counterpart string      // value of the other family's version variable
	Releases    Releases
	Catalog     *catalog.Catalog
	Working     map[release.Profile]*policies.Working // policies/, for a KMS release
}

// Pair is guard 3, "KMS ↔ Node Dependency Guard": three results, always. In a
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
	out := check.Results{CounterpartExists(counterpart, tags), Listed(in.Catalog, in.Tag, counterpart)}
	if !out[0].OK() {
		return append(out, check.Skip(referencesName, counterpart.String()+" does not exist")), nil
	}
	references, err := in.references(ctx, counterpart)
	return append(out, references), err
}

// Each family needs the other, so the first release of all can have no
// counterpart. A release candidate passes then, and only then; a stable never does.
func firstRelease(t release.Tag) check.Results {
	reason := fmt.Sprintf("first release: there is no %s release yet", t.Family.Counterpart())
	return check.Results{check.NotApplicable(existsName, reason), check.NotApplicable(listedName, reason), check.NotApplicable(referencesName, reason)}
}

// unnamed is the answer when the variable does not name a counterpart.
func unnamed(t release.Tag, err error) check.Results {
	name := t.Family.Counterpart().VersionVariable()
	exists := check.Of(existsName, &fault.Error{Code: fault.Usage, Message: name + " does not name the counterpart", Err: err,
		Expected: "X.Y.Z or X.Y.Z-rc.N", Hint: "set the repository variable " + name})
	reason := name + " names no version"
	return check.Results{exists, check.Skip(listedName, reason), check.Skip(referencesName, reason)}
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
		hint = fmt.Sprintf("set %s to a release that exists, such as %s, or release %s first", name, newest.Version, counterpart)
	} else {
		hint = fmt.Sprintf("release a candidate first: %s-v%s-rc.1", counterpart.Family, counterpart.Version.Final())
	}
	return check.Fail(existsName, fault.Verification, counterpart.String()+" is not released", counterpart.String(), got).WithHint(hint)
}

// Listed is check 2: "the compatibility catalog lists the pair".
func Listed(c *catalog.Catalog, a, b release.Tag) check.Result {
	p := catalog.PairOf(a, b)
	if len(c.Find(p.KMS, p.NodeImage)) > 0 {
		return check.Pass(listedName)
	}
	return check.Fail(listedName, fault.Verification, "the pair is not in the compatibility catalog",
		fmt.Sprintf("an entry for kms %s with node_image %s", p.KMS.Final(), p.NodeImage.Final()),
		fmt.Sprintf("%d entries, none for this pair", len(c.Entries))).
		WithHint("declare the pair in " + catalog.Path + ` ("tested": false) by a pull request`)
}
