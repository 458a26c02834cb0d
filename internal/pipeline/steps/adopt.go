package steps

import (
	"context"
	"io"
	"path/filepath"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// adoptBundles fetches the bundles that an earlier run uploaded: "published
// bytes win". One that does not verify is not adopted by sign.Files, and
// publishing then stops on the difference.
func (l *Lane) adoptBundles(ctx context.Context, w *pipeline.Work) error {
	rel, err := l.existing(ctx)
	if err != nil || rel == nil {
		return err
	}
	adopted := 0
	for _, a := range rel.Assets {
		ok, err := l.adopt(ctx, a)
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
func (l *Lane) existing(ctx context.Context) (*github.Release, error) {
	all, err := l.GitHub.Releases(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(x github.Release) bool { return x.TagName == l.Tag.String() })
	if i < 0 {
		return nil, nil
	}
	return &all[i], nil
}

// adopt downloads an uploaded bundle that differs from the staged one.
func (l *Lane) adopt(ctx context.Context, a github.Asset) (bool, error) {
	if a.State != github.StateUploaded || !slices.Contains(l.Bundles(), a.Name) {
		return false, nil
	}
	path := filepath.Join(l.Assets(), a.Name)
	staged, err := FileDigest(path)
	if err != nil || staged == a.Digest {
		return false, err
	}
	err = file.Stream(path, 0o644, func(w io.Writer) error { return l.GitHub.Download(ctx, a, w) })
	return err == nil, err
}
