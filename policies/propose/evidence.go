package propose

import (
	"context"
	"path"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// Reviewed is the evidence of E2E that people merged: a branch on GitHub.
type Reviewed struct {
	GitHub *github.Client
	Branch string
}

var _ evidence.Source = Reviewed{}

// Names lists the files of the folder on the branch.
func (r Reviewed) Names(ctx context.Context) ([]string, error) {
	return r.GitHub.Folder(ctx, evidence.Dir, r.Branch)
}

// Read is the content of one of them.
func (r Reviewed) Read(ctx context.Context, name string) ([]byte, error) {
	return r.GitHub.ReadFile(ctx, path.Join(evidence.Dir, name), r.Branch)
}

// TestsOf reads the tests of a node release on the main branch.
func TestsOf(ctx context.Context, c *github.Client, node release.Tag) (policies.Tests, error) {
	tests, err := evidence.Tests(ctx, Reviewed{GitHub: c, Branch: Base}, node)
	return policies.Tests{node: tests}, err
}
