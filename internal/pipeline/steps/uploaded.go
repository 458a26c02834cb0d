package steps

import (
	"bytes"
	"context"
	"io"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// Uploaded is an asset that this tag's release, draft or public, holds already;
// nil when it does not.
func (r *Release) Uploaded(ctx context.Context, name string) ([]byte, error) {
	rel, err := r.existing(ctx)
	if err != nil || rel == nil {
		return nil, err
	}
	i := slices.IndexFunc(rel.Assets, func(a github.Asset) bool {
		return a.Name == name &&
			a.State == github.StateUploaded
	})
	if i < 0 {
		return nil, nil
	}
	var b bytes.Buffer
	err = r.GitHub.Download(ctx, rel.Assets[i], &b)
	return b.Bytes(), err
}

// adoptBundles fetches the bundles that an earlier run uploaded: "published
// bytes win". One that does not verify is not adopted by sign.Files, and
// publishing then stops on the difference.
func (r *Release) adoptBundles(ctx context.Context, w *pipeline.Work) error {
	rel, err := r.existing(ctx)
	if err != nil || rel == nil {
		return err
	}
	adopted := 0
	for _, a := range rel.Assets {
		ok, err := r.adopt(ctx, a)
		if err != nil {
			return err
		}
		if ok {
			adopted++
		}
	}
	if adopted > 0 {
		w.Infof("adopted %d bundles that were uploaded before", adopted)
	}
	return nil
}

// existing is this tag's release on GitHub, draft or public; nil when there is none.
func (r *Release) existing(ctx context.Context) (*github.Release, error) {
	all, err := r.GitHub.Releases(ctx)
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
	if a.State != github.StateUploaded || !slices.Contains(r.Bundles(), a.Name) {
		return false, nil
	}
	path := filepath.Join(r.Assets(), a.Name)
	staged, err := FileDigest(path)
	if err != nil || staged == a.Digest {
		return false, err
	}
	err = file.Stream(path, 0o644, func(w io.Writer) error { return r.GitHub.Download(ctx, a, w) })
	return err == nil, err
}
