package noderelease

import (
	"context"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

// What the journal says of an image, before and after it is made.
const (
	imageBegins = "image begins"
	imageMade   = "image made"
)

func (r *Release) builder(p release.Profile) pipeline.Step {
	return pipeline.Step{Needs: []string{"node:version"},
		Inputs: func(ctx context.Context) (pipeline.Digests, error) {
			content, err := r.Env.Images.Content(ctx, p)
			return pipeline.Digests{"content": content, "tag": r.Tag.String()}, err
		},
		Outputs: r.AssetFiles(release.RecordAsset(p)),
		Do:      func(ctx context.Context, w *pipeline.Work) error { return r.build(ctx, w, p) }}
}

// build makes the image of a profile, once: what an interrupted run of this
// release left is removed first, and an image of anybody else is never touched.
func (r *Release) build(ctx context.Context, w *pipeline.Work, p release.Profile) error {
	order, err := r.order(ctx, w, p)
	if err != nil {
		return err
	}
	if adopted, err := r.adoptRecord(ctx, w, p, order); adopted || err != nil {
		return err
	}
	if err := r.Env.Images.Discard(ctx, order, r.unfinished(order.Name)); err != nil {
		return err
	}
	if err := w.Journal(imageBegins, order.Name); err != nil {
		return err
	}
	record, err := r.Env.Images.Build(ctx, order)
	if err != nil {
		return err
	}
	if err := r.writeRecord(p, order, record); err != nil {
		return err
	}
	w.Infof("%s: %d packages, %d files of its own", record.Image.Name, len(record.Packages), len(record.Files))
	return w.Journal(imageMade, order.Name)
}

func (r *Release) order(ctx context.Context, w *pipeline.Work, p release.Profile) (image.Order, error) {
	content, err := r.Env.Images.Content(ctx, p)
	if err != nil {
		return image.Order{}, err
	}
	name, err := image.ImageName(p, r.Tag.Version, content)
	return image.Order{Profile: p, Tag: r.Tag, Commit: r.Checkout.Commit, Name: name, Content: content,
		Work: r.Work("build", string(p)), Log: func(line string) { w.Infof("%s", line) }, Journal: w.Journal}, err
}

// unfinished says that the ledger saw an image begin and not end: whatever bears its name is this release's own.
func (r *Release) unfinished(name string) bool {
	begun := false
	for _, record := range r.Ledger.Records() {
		if record.Event != pipeline.Effect {
			continue
		}
		switch record.Detail {
		case imageBegins + " " + name:
			begun = true
		case imageMade + " " + name:
			begun = false
		}
	}
	return begun
}

// writeRecord stages the record, which must be of the image that was ordered.
func (r *Release) writeRecord(p release.Profile, order image.Order, record *image.Record) error {
	if record.Profile != p || record.Version != r.Tag.Version || record.Image.Name != order.Name {
		return &fault.Error{Code: fault.Verification, Message: "the record is of another image", Expected: order.Name, Got: record.Image.Name}
	}
	data, err := record.Encode()
	if err != nil {
		return err
	}
	return r.WriteAsset(release.RecordAsset(p), data)
}

// adoptRecord takes the record that this tag's release already holds, when it
// is of the image that would be made now: "published bytes win".
func (r *Release) adoptRecord(ctx context.Context, w *pipeline.Work, p release.Profile, order image.Order) (bool, error) {
	data, err := r.Uploaded(ctx, release.RecordAsset(p))
	if data == nil || err != nil {
		return false, err
	}
	record, err := image.Decode(data)
	if err != nil {
		return false, err
	}
	if record.Image.Name != order.Name || !strings.HasPrefix(record.Commit, r.Checkout.Commit) {
		return false, nil
	}
	w.Infof("%s is there already", order.Name)
	return true, r.WriteAsset(release.RecordAsset(p), data)
}
