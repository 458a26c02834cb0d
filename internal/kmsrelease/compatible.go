package kmsrelease

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/e2e"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// listed is a pair of the staged catalog that guardrail A tries besides this
// release and its counterpart.
type listed struct {
	kms, node release.Tag
	profiles  []release.Profile
	tested    bool // some profile of it was tested before
}

// listedPairs: "test the new KMS version against all listed compatible
// node-image versions (and vice versa)".
func (r *Release) listedPairs() ([]listed, error) {
	data, err := os.ReadFile(r.work(catalogFile))
	if err != nil {
		return nil, err
	}
	staged, err := catalog.Decode(data)
	if err != nil {
		return nil, err
	}
	counterpart, err := r.counterpart()
	if err != nil {
		return nil, err
	}
	return otherPairs(staged, r.Tag, counterpart), nil
}

// otherPairs are the pairs of the catalog that hold one of the two tags, but
// not both. A candidate stands in for the version it is a candidate for.
func otherPairs(c *catalog.Catalog, kms, node release.Tag) []listed {
	var out []listed
	for _, e := range c.Entries {
		pair := listed{kms: release.Tag{Family: release.KMS, Version: e.KMS}, node: release.Tag{Family: release.Node, Version: e.NodeImage}}
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
		other, kms := l.node, released
		if l.kms != r.Tag {
			other = l.kms
		}
		there, err := r.isReleased(ctx, other)
		if err != nil {
			return nil, nil, err
		}
		if !there {
			absent = append(absent, l.absent(other))
			continue
		}
		if other.Family == release.KMS {
			if kms, err = r.otherKMS(ctx, other); err != nil {
				return nil, nil, err
			}
		}
		out = append(out, e2e.Pair{KMS: kms, Node: l.node, Profiles: l.profiles})
	}
	return out, absent, nil
}

func (l listed) absent(other release.Tag) check.Result {
	name := fmt.Sprintf("%s works with %s", l.kms, l.node)
	if !l.tested {
		return check.NotApplicable(name, other.String()+" is listed, and not released yet")
	}
	return check.Fail(name, fault.Verification, "the catalog lists the pair as tested", other.String(), "no such release").
		WithHint("a release that is gone cannot be tested again: take the pair out of the catalog")
}

func (r *Release) isReleased(ctx context.Context, tag release.Tag) (bool, error) {
	tags, err := published{r}.Tags(ctx, tag.Family)
	return slices.Contains(tags, tag), err
}

// otherKMS is another release of the key service, audited as this one is.
func (r *Release) otherKMS(ctx context.Context, tag release.Tag) (*e2e.Release, error) {
	dir := r.work("compatible", tag.String())
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, err
	}
	if err := (published{r}).audited(ctx, tag, dir); err != nil {
		return nil, err
	}
	return readRelease(dir)
}
