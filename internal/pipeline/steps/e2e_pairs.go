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

// compatible downloads and audits what guardrail A needs: "test the new KMS
// version against all listed compatible node-image versions (and vice versa)". A
// pair whose other side is not there, or does not pass its audit, is a result.
func (t *Trial) compatible(ctx context.Context, released *e2e.Release) (pairs []e2e.Pair, known e2e.Checks) {
	if t.Catalog == nil {
		return nil, nil
	}
	for _, l := range otherPairs(t.Catalog, released.KMS.Tag, released.Node.Tag) {
		other := l.node
		if l.kms != released.KMS.Tag {
			other = l.kms
		}
		there, err := t.Published.Has(ctx, other)
		if err == nil && !there {
			known = append(known, e2e.NewCheck(e2e.CrossVersion, l.absent(other), l.profiles...))
			continue
		}
		var pair e2e.Pair
		if err == nil {
			pair, err = t.auditedPair(ctx, l, other, released)
		}
		if err != nil {
			known = append(known, e2e.NewCheck(e2e.CrossVersion, check.Of(l.name(), err), l.profiles...))
			continue
		}
		pairs = append(pairs, pair)
	}
	return pairs, known
}

// auditedPair reads the other release, audited as this one is.
func (t *Trial) auditedPair(ctx context.Context, l listed, other release.Tag,
	released *e2e.Release) (e2e.Pair, error) {
	out := e2e.Pair{KMS: released, Node: released.Node, Profiles: l.profiles}
	dir, err := t.Published.Audited(ctx, other)
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
	out.KMS.Node = released.Node
	// Its policy may be older than the node release; operators update it, and so does this test.
	out.KMS.Updated, err = t.updated(ctx, dir, out.KMS)
	return out, err
}

func (l listed) name() string { return fmt.Sprintf("%s works with %s", l.kms, l.node) }

func (l listed) absent(other release.Tag) check.Result {
	if !l.tested {
		return check.NotApplicable(l.name(), other.String()+" is listed, and not released yet")
	}
	return check.Fail(l.name(), fault.Verification, "the catalog lists the pair as tested", other.String(),
		"no such release").
		WithHint("a release that is gone cannot be tested again: take the pair out of the catalog")
}
