package kmsrelease

import (
	"context"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/audit"
	"github.com/calimero-network/mero-tee/internal/github"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/publish"
	"github.com/calimero-network/mero-tee/internal/release"
)

// publish fills a draft, audits the draft by downloading it, and only then
// makes it public, as a pre-release: promotion comes after E2E.
func (r *Release) publish(ctx context.Context, w *pipeline.Work) error {
	text, err := r.notes(ctx)
	if err != nil {
		return err
	}
	p, journalled := r.publisher(w)
	draft, result, err := p.Fill(ctx, publish.Plan{Tag: r.Tag, Commit: r.Checkout.Commit, Title: r.Tag.String(), Notes: text,
		Dir: r.assets(), Names: release.KMS.ExpectedAssets()})
	if err := errors.Join(err, journalled()); err != nil {
		return err
	}
	w.Infof("uploaded %d assets, %d were there already", len(result.Uploaded), len(result.Kept))
	if _, err := r.auditOK(ctx, draft.ID, "draft"); err != nil {
		return err
	}
	w.Infof("the draft passes its audit")
	public, err := p.MakePublic(ctx, draft)
	if err := errors.Join(err, journalled()); err != nil {
		return err
	}
	w.Infof("public as a pre-release: %s", public.HTMLURL)
	return nil
}

// publisher journals every side effect in the ledger; a journal that cannot be
// written is an error of the move it belongs to.
func (r *Release) publisher(w *pipeline.Work) (p *publish.Publisher, journalled func() error) {
	var failed error
	journal := func(event string, kv ...any) {
		failed = errors.Join(failed, w.Journal(event, fmt.Sprintln(kv...)))
	}
	return &publish.Publisher{GitHub: r.github, Journal: journal}, func() error { return failed }
}

// auditOK downloads the release with this id (0: the public one) and returns
// the first thing that is wrong with it as an error.
func (r *Release) auditOK(ctx context.Context, id int64, dir string) (*audit.Report, error) {
	report, err := r.examine(ctx, &audit.GitHub{Client: r.github, ID: id, Tag: r.Tag.String()}, r.work(dir),
		audit.Subject{Tag: r.Tag, Commit: r.Checkout.Commit})
	if err != nil {
		return nil, err
	}
	if r.Tag.Stable() {
		report.Results = report.Results.Strict()
	}
	return report, report.Results.Err()
}

// publicAssets is what GitHub now says of the public release.
func (r *Release) publicAssets(ctx context.Context) (pipeline.Digests, error) {
	rel, err := r.github.ReleaseByTag(ctx, r.Tag.String())
	if errors.Is(err, github.ErrNotFound) {
		return pipeline.Digests{"release": "absent"}, nil
	}
	if err != nil {
		return nil, err
	}
	return publish.Digests(rel), nil
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
