package steps

import (
	"context"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// listed is a pair of the staged catalog that guardrail A tests besides this
// release and its counterpart.
type listed struct {
	kms, node release.Tag
	profiles  []release.Profile
	tested    bool // some profile of it was tested before
}

// listedPairs: "test the new KMS version against all listed compatible
// node-image versions (and vice versa)".
func (r *Release) listedPairs() ([]listed, error) {
	staged, err := r.Staged()
	if err != nil {
		return nil, err
	}
	counterpart, err := r.Counterpart()
	if err != nil {
		return nil, err
	}
	if r.Tag.Family == release.KMS {
		return otherPairs(staged, r.Tag, counterpart), nil
	}
	return otherPairs(staged, counterpart, r.Tag), nil
}

// otherPairs are the pairs of the catalog that hold one of the two tags, but
// not both. A candidate stands in for the version it is a candidate for.
func otherPairs(c *catalog.Catalog, kms, node release.Tag) []listed {
	var out []listed
	for _, e := range c.Entries {
		pair := listed{kms: release.Tag{Family: release.KMS, Version: e.KMS},
			node: release.Tag{Family: release.Node, Version: e.NodeImage}}
		mine, ours := e.KMS == kms.Version.Final(), e.NodeImage == node.Version.Final()
		switch {
		case mine == ours:
			continue
		case mine:
			pair.kms = kms
		default:
			pair.node = node
		}
		same := func(l listed) bool { return l.kms == pair.kms && l.node == pair.node }
		i := slices.IndexFunc(out, same)
		if i < 0 {
			i, out = len(out), append(out, pair)
		}
		out[i].profiles, out[i].tested = append(out[i].profiles, e.Profiles...), out[i].tested || e.Tested
	}
	return out
}

// compatible downloads and audits what guardrail A needs. A pair whose other
// side is not released is a result instead: declared pairs may wait for their
// release, tested ones may not.
func (r *Release) compatible(ctx context.Context, released *e2e.Release) ([]e2e.Pair, check.Results, error) {
	pairs, err := r.listedPairs()
	if err != nil {
		return nil, nil, err
	}
	var out []e2e.Pair
	var absent check.Results
	for _, l := range pairs {
		other := l.node
		if l.kms != released.KMS.Tag {
			other = l.kms
		}
		there, err := r.Published().Has(ctx, other)
		if err != nil {
			return nil, nil, err
		}
		if !there {
			absent = append(absent, l.absent(other))
			continue
		}
		pair, err := r.auditedPair(ctx, l, other, released)
		if err != nil {
			return nil, nil, err
		}
		out = append(out, pair)
	}
	return out, absent, nil
}

// auditedPair reads the other release, audited as this one is.
func (r *Release) auditedPair(ctx context.Context, l listed, other release.Tag,
	released *e2e.Release) (e2e.Pair, error) {
	out := e2e.Pair{KMS: released, Node: released.Node, Profiles: l.profiles}
	dir, err := r.Published().Audited(ctx, other)
	if err != nil {
		return out, err
	}
	if other.Family == release.Node {
		out.Node, err = ReadMeasurements(dir)
		return out, err
	}
	if out.KMS, err = readRelease(dir); err != nil {
		return out, err
	}
	// Its policy is older than the node release; operators update it, and so does this test.
	return out, r.promoteInto(ctx, out.KMS, dir)
}

func (l listed) absent(other release.Tag) check.Result {
	name := fmt.Sprintf("%s works with %s", l.kms, l.node)
	if !l.tested {
		return check.NotApplicable(name, other.String()+" is listed, and not released yet")
	}
	return check.Fail(name, fault.Verification, "the catalog lists the pair as tested", other.String(), "no such release").
		WithHint("a release that is gone cannot be tested again: take the pair out of the catalog")
}
