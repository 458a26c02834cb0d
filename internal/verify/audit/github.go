package audit

import (
	"context"
	"fmt"
	"io"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// GitHub is a release on GitHub, a draft or a public one.
type GitHub struct {
	Client *github.Client
	ID     int64 // of the release; 0 finds the public release of Tag
	Tag    string

	listed map[string]github.Asset
}

// Assets lists what GitHub has, afresh at each call. An upload that broke off
// half way is not an asset.
func (g *GitHub) Assets(ctx context.Context) ([]Asset, error) {
	rel, err := g.find(ctx)
	if err != nil {
		return nil, err
	}
	g.listed = map[string]github.Asset{}
	var out []Asset
	for _, a := range rel.Assets {
		if a.State == github.StateUploaded {
			g.listed[a.Name] = a
			out = append(out, Asset{Name: a.Name, Size: a.Size, Digest: a.Digest})
		}
	}
	return out, nil
}

func (g *GitHub) find(ctx context.Context) (*github.Release, error) {
	if g.ID != 0 {
		return g.Client.Release(ctx, g.ID)
	}
	rel, err := g.Client.ReleaseByTag(ctx, g.Tag)
	if err != nil {
		return nil, &fault.Error{Code: fault.CodeOf(err), Message: "no public release " + g.Tag, Err: err,
			Hint: "`go tool mage release:status` shows how far a release of this machine got"}
	}
	return rel, nil
}

// Fetch downloads one asset, byte for byte. The host's own digest is compared
// by Release, so that a difference is a finding and not the end of the audit.
func (g *GitHub) Fetch(ctx context.Context, name string, w io.Writer) error {
	a, ok := g.listed[name]
	if !ok {
		return fmt.Errorf("%s was not listed", name)
	}
	a.Digest = ""
	return g.Client.Download(ctx, a, w)
}
