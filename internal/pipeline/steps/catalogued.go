package steps

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

const cataloguedName = "a stable release has its catalog update"

// Catalogued says whether a stable release may become the latest: "must include
// compatibility catalog update". One of the catalogs, the base branch's and
// those of open pull requests, lists its pair as tested in all profiles.
//
// A release that was paired with a candidate, which the first stable release of
// all has to be, has no such pair of its own. It waits, as a pre-release, until
// a stable release of the other family was tested with it.
func Catalogued(t, counterpart release.Tag, catalogs ...*catalog.Catalog) check.Result {
	for _, c := range catalogs {
		pairs := c.TestedWith(t)
		if slices.Contains(pairs, catalog.PairOf(t, counterpart)) || !counterpart.Stable() && len(pairs) > 0 {
			return check.Pass(cataloguedName)
		}
	}
	if counterpart.Stable() {
		return check.Fail(cataloguedName, fault.Verification, t.String()+" has no catalog update",
			fmt.Sprintf("%s with %s as tested, on %s or in an open pull request", t, counterpart, BaseBranch), "neither").
			WithHint(fmt.Sprintf("open the pull request of branch %s again; until then %s stays a pre-release",
				proposalBranch(t), t))
	}
	final := release.Tag{Family: counterpart.Family, Version: counterpart.Version.Final()}
	return check.Fail(cataloguedName, fault.Verification,
		fmt.Sprintf("%s was tested with a candidate alone, %s, so it waits as a pre-release", t, counterpart),
		fmt.Sprintf("%s as tested with a stable release of %s, on %s or in an open pull request", t, counterpart.Family,
			BaseBranch), "no such entry").
		WithHint(fmt.Sprintf("release %s, paired with %s; when its pull request is open, run this job again", final, t))
}

// catalogued asks GitHub for the catalogs, and judges.
func (r *Release) catalogued(ctx context.Context) error {
	outcome, err := r.outcome()
	if err != nil {
		return err
	}
	if err := r.mustPass(outcome); err != nil {
		return err
	}
	counterpart, err := release.ParseTag(outcome.Counterpart)
	if err != nil {
		return err
	}
	catalogs, err := r.catalogs(ctx)
	if err != nil {
		return err
	}
	return Catalogued(r.Tag, counterpart, catalogs...).Err()
}

// catalogs are the base's, and those of the open pull requests that stable releases made. A candidate's adds nothing
// to the catalog: its branch has the base's as that once was, with pairs that people may have taken out since.
func (r *Release) catalogs(ctx context.Context) ([]*catalog.Catalog, error) {
	base, err := r.catalogAt(ctx, BaseBranch)
	if err != nil {
		return nil, err
	}
	all, err := r.GitHub.Proposals(ctx, BaseBranch, proposalPrefix)
	if err != nil {
		return nil, err
	}
	out := []*catalog.Catalog{base}
	for _, p := range all {
		tag, err := release.ParseTag(strings.TrimPrefix(p.Branch, proposalPrefix))
		if err != nil || !tag.Stable() || !p.Open {
			continue
		}
		c, err := r.catalogAt(ctx, p.Branch)
		switch {
		case err == nil:
			out = append(out, c)
		case errors.Is(err, github.ErrNotFound) || fault.CodeOf(err) == fault.Verification: // it says nothing
		default:
			return nil, err
		}
	}
	return out, nil
}

// Drills are cases in which a promotion has to be refused.
func Drills() []check.Drill {
	kms, node := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}},
		release.Tag{Family: release.Node, Version: release.Version{Major: 1}}
	candidate := release.Tag{Family: release.KMS, Version: release.Version{Major: 1, Candidate: 1}}
	with := func(tested bool, profiles ...release.Profile) *catalog.Catalog {
		return &catalog.Catalog{SchemaVersion: catalog.SchemaVersion, Entries: []catalog.Entry{{KMS: kms.Version,
			NodeImage: node.Version, Profiles: profiles, Tested: tested}}}
	}
	all := release.Profiles()
	drill := func(what string, bad, good check.Result) check.Drill {
		return check.Drill{Name: cataloguedName + ", " + what, Bad: bad, Good: good, Code: fault.Verification}
	}
	return []check.Drill{
		drill("declared only", Catalogued(node, kms, with(false, all...)), Catalogued(node, kms, with(true, all...))),
		drill("not in every profile", Catalogued(node, kms, with(true, all[0])), Catalogued(node, kms, with(true, all...))),
		drill("with a candidate alone", Catalogued(node, candidate, with(false, all...)),
			Catalogued(node, candidate, with(true, all...))),
	}
}
