package kmsrelease

import (
	"context"
	"io"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/atomicfile"
	"github.com/calimero-network/mero-tee/internal/github"
)

// existing is this tag's release on GitHub, draft or public; nil when there is none.
func (r *Release) existing(ctx context.Context) (*github.Release, error) {
	all, err := r.github.Releases(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(x github.Release) bool { return x.TagName == r.Tag.String() })
	if i < 0 {
		return nil, nil
	}
	return &all[i], nil
}

// adopt downloads an uploaded bundle that differs from the staged one.
func (r *Release) adopt(ctx context.Context, a github.Asset) (bool, error) {
	if a.State != github.StateUploaded || !slices.Contains(bundles(), a.Name) {
		return false, nil
	}
	path := filepath.Join(r.assets(), a.Name)
	staged, err := fileDigest(path)
	if err != nil || staged == a.Digest {
		return false, err
	}
	err = atomicfile.Stream(path, 0o644, func(w io.Writer) error { return r.github.Download(ctx, a, w) })
	return err == nil, err
}
