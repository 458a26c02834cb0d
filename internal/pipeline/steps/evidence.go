package steps

import (
	"context"
	"os"
	"slices"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// reviewed is the evidence of E2E that guard 3 takes, as people reviewed it. For
// a key service it is the commit's: it was merged before the policies that rest
// on it. A node release is judged by the policies of a key service that may have
// been released after the commit, as for a hotfix: then main's counts too.
func (r *Release) reviewed() evidence.Source {
	commit := evidence.Folder{FS: os.DirFS(r.Checkout.Evidence)}
	if r.Tag.Family == release.KMS {
		return commit
	}
	return &newest{main: propose.Reviewed{GitHub: r.GitHub, Branch: BaseBranch}, commit: commit}
}

// newest is main's evidence, and of the commit what main does not have.
type newest struct {
	main, commit evidence.Source
	onMain       []string
}

// Names lists the files of both.
func (n *newest) Names(ctx context.Context) (_ []string, err error) {
	if n.onMain == nil {
		if n.onMain, err = n.main.Names(ctx); err != nil {
			return nil, err
		}
		n.onMain = append([]string{}, n.onMain...) // asked, even when there is none
	}
	names, err := n.commit.Names(ctx)
	names = slices.Concat(names, n.onMain)
	slices.Sort(names)
	return slices.Compact(names), err
}

// Read is the content of one of them, on main if it is there.
func (n *newest) Read(ctx context.Context, name string) ([]byte, error) {
	if slices.Contains(n.onMain, name) {
		return n.main.Read(ctx, name)
	}
	return n.commit.Read(ctx, name)
}
