package noderelease

import (
	"context"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
)

func (p *Pipeline) builder(profile release.Profile) pipeline.Step {
	return pipeline.Step{Needs: []string{"node:version"},
		Inputs: func(ctx context.Context) (pipeline.Digests, error) {
			content, err := p.Env.Images.Content(ctx, profile)
			return pipeline.Digests{"content": content, "tag": p.Tag.String()}, err
		},
		Outputs: p.AssetFiles(release.RecordAsset(profile)),
		Do:      func(ctx context.Context, w *pipeline.Work) error { return p.build(ctx, w, profile) }}
}

// build makes the image of a profile, once: what an interrupted run of this
// release left is removed first, and an image of anybody else is never touched.
func (p *Pipeline) build(ctx context.Context, w *pipeline.Work, profile release.Profile) error {
	order, err := p.order(ctx, w, profile)
	if err != nil {
		return err
	}
	if profile == release.Profiles()[0] {
		p.drift(ctx, w)
	}
	if adopted, err := p.adoptRecord(ctx, w, profile, order); adopted || err != nil {
		return err
	}
	// What this release began and did not end is its own, whatever bears the name.
	unfinished := slices.Contains(p.Ledger.Open(journal.Image), order.Name)
	if err := p.Env.Images.Discard(ctx, order, unfinished); err != nil {
		return err
	}
	record, err := p.Env.Images.Build(ctx, order)
	if err != nil {
		return err
	}
	if err := p.writeRecord(profile, order, record); err != nil {
		return err
	}
	w.Infof("%s: %d packages, %d files of its own", record.Image.Name, len(record.Packages), len(record.Files))
	return w.End(journal.Image, order.Name, nil)
}

// drift says how the pinned base image compares with the newest of its family, here, where the cloud's credentials are:
// it is news, and no reason to stop.
func (p *Pipeline) drift(ctx context.Context, w *pipeline.Work) {
	drift, err := p.Env.Images.Drift(ctx)
	if err != nil {
		w.Warnf("the base image's family could not be asked: %v", err)
		return
	}
	w.Infof("%s", drift)
}

func (p *Pipeline) order(ctx context.Context, w *pipeline.Work, profile release.Profile) (image.BuildRequest, error) {
	content, err := p.Env.Images.Content(ctx, profile)
	if err != nil {
		return image.BuildRequest{}, err
	}
	name, err := image.Name(profile, p.Tag.Version, content)
	return image.BuildRequest{Profile: profile, Tag: p.Tag, Commit: p.Checkout.Commit, Name: name, Content: content,
		Work: p.Work("build", string(profile)), Log: func(line string) { w.Infof("%s", line) }, Journal: w.Journal}, err
}

// writeRecord stages the record, which must be of the image that was ordered.
func (p *Pipeline) writeRecord(profile release.Profile, order image.BuildRequest, record *image.Record) error {
	if record.Profile != profile || record.Version != p.Tag.Version || record.Image.Name != order.Name {
		return fault.Mismatch("the record is of another image", order.Name, record.Image.Name)
	}
	return p.EncodeAsset(release.RecordAsset(profile), record)
}

// adoptRecord takes the record that this tag's release already holds, when it
// is of the image that would be made now: "published bytes win".
func (p *Pipeline) adoptRecord(ctx context.Context, w *pipeline.Work, profile release.Profile,
	order image.BuildRequest) (bool, error) {
	data, err := p.Uploaded(ctx, release.RecordAsset(profile))
	if data == nil || err != nil {
		return false, err
	}
	record, err := image.Decode(data)
	if err != nil {
		return false, err
	}
	if record.Image.Name != order.Name || !strings.HasPrefix(record.Commit, p.Checkout.Commit) {
		return false, nil
	}
	w.Infof("%s is there already", order.Name)
	return true, p.WriteAsset(release.RecordAsset(profile), data)
}
