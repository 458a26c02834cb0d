package cli

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// nodesAgain builds node images from the clone as a release does, and compares
// their records with the released ones. An image's disk is no asset of a release:
// its record has the digests of all that it boots, and lists what is in it.
func (o *operator) nodesAgain(ctx context.Context, c clone, profiles []release.Profile,
	assets string) (check.Results, error) {
	images := o.env.ImagesOf(c.root)
	out := make(check.Results, len(profiles))
	g, building := errgroup.WithContext(ctx)
	for i, p := range profiles {
		g.Go(func() error {
			released, err := readRecord(assets, p)
			if err != nil {
				return err
			}
			again, err := o.nodeAgain(building, images, c, p)
			if err != nil {
				return err
			}
			out[i] = o.sameNode(p, released, again)
			return nil
		})
	}
	return out, g.Wait()
}

func readRecord(assets string, p release.Profile) (*image.Record, error) {
	data, err := os.ReadFile(filepath.Join(assets, release.RecordAsset(p)))
	if err != nil {
		return nil, err
	}
	return image.Decode(data)
}

// nodeAgain makes an image for its record's sake: it has a name of its own, is in
// no family, and is deleted, as is what an interrupted command left of it.
func (o *operator) nodeAgain(ctx context.Context, images image.Images, c clone,
	p release.Profile) (_ *image.Record, err error) {
	content, err := images.Content(ctx, p)
	if err != nil {
		return nil, unbuildable(err)
	}
	sum := sha256.Sum256([]byte("built again to be compared: " + content))
	order := image.BuildRequest{Profile: p, Tag: c.published.Tag, Commit: c.commit.Hash,
		Content: hex.EncodeToString(sum[:]), Work: filepath.Join(c.dir, "build", string(p)),
		Log: func(line string) { o.console.Infof("%s: %s", p, line) }}
	if order.Name, err = image.Name(p, c.published.Tag.Version, order.Content); err != nil {
		return nil, err
	}
	if err := images.Discard(ctx, order, true); err != nil {
		return nil, err
	}
	record, err := images.Build(ctx, order)
	err = errors.Join(unfinished(p, err), images.Discard(context.WithoutCancel(ctx), order, true))
	return record, err
}

// unfinished: that a cloud builds nothing today is no word about the release.
func unfinished(p release.Profile, err error) error {
	if err == nil || fault.CodeOf(err) == fault.Usage {
		return err
	}
	out := &fault.Error{Code: fault.General, Err: err,
		Message: fmt.Sprintf("the image of %s was not built again, so nothing is said about the released one", p)}
	var f *fault.Error
	if errors.As(err, &f) {
		out.Expected, out.Got, out.Hint = f.Expected, f.Got, f.Hint
	}
	return out
}

func (o *operator) sameNode(p release.Profile, released, again *image.Record) check.Result {
	var lines []string
	for _, c := range image.Reproduced(released, again) {
		lines = append(lines, c.String())
	}
	return o.compared(p, fmt.Sprintf("UKI %s, root hash %s, %d packages, %d files", released.Boot.UKI,
		released.Boot.RootHash, len(released.Packages), len(released.Files)), lines,
		"; packages come from the distribution's archive, which may have moved on")
}
