package steps

import (
	"bytes"
	"context"
	"slices"

	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// Uploaded is an asset that this tag's release, draft or public, holds already;
// nil when it does not.
func (l *Lane) Uploaded(ctx context.Context, name string) ([]byte, error) {
	rel, err := l.existing(ctx)
	if err != nil || rel == nil {
		return nil, err
	}
	i := slices.IndexFunc(rel.Assets, func(a github.Asset) bool { return a.Name == name && a.State == github.StateUploaded })
	if i < 0 {
		return nil, nil
	}
	var b bytes.Buffer
	err = l.GitHub.Download(ctx, rel.Assets[i], &b)
	return b.Bytes(), err
}
