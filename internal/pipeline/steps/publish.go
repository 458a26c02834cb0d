package steps

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/publish"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// Publish fills a draft, audits the draft by downloading it, and only then
// makes it public, as a pre-release: promotion comes after E2E.
func (r *Release) Publish(ctx context.Context, w *pipeline.Work) error {
	text, err := r.described(ctx, w)
	if err != nil {
		return err
	}
	p := &publish.Publisher{GitHub: r.GitHub, Journal: w.Journal}
	draft, result, err := p.Fill(ctx, publish.Plan{Tag: r.Tag, Commit: r.Checkout.Commit, Title: r.Tag.String(),
		Notes: text,
		Dir:   r.Assets(), Names: r.Tag.Family.ExpectedAssets()})
	if err != nil {
		return err
	}
	w.Infof("uploaded %d assets, %d were there already", len(result.Uploaded), len(result.Kept))
	report, err := r.audited(ctx, draft.ID, "draft")
	if err != nil {
		return err
	}
	if report.Results.Err() != nil {
		return report.Results.Report(w.Console)
	}
	w.Infof("the draft passes its audit")
	public, err := p.MakePublic(ctx, draft)
	if err != nil {
		return err
	}
	w.Infof("public as a pre-release: %s", public.HTMLURL)
	return nil
}

// PublicAssets is what GitHub now says of the public release. It is asked after
// the publication alone, so that "absent" is no answer: recorded, it would be a
// difference that no later run can mend.
func (r *Release) PublicAssets(ctx context.Context) (pipeline.Digests, error) {
	rel, err := r.public(ctx)
	if err != nil {
		return nil, err
	}
	return publish.Digests(rel), nil
}

// public is this tag's release, which we published. GitHub may show it late.
func (r *Release) public(ctx context.Context) (rel *github.Release, err error) {
	err = r.GitHub.Await(ctx, "the public release of "+r.Tag.String(), func() (bool, error) {
		rel, err = r.GitHub.ReleaseByTag(ctx, r.Tag.String())
		return err == nil, err
	})
	if errors.Is(err, github.ErrNotFound) {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "the public release of " + r.Tag.String() + " is gone",
			Err:      err,
			Expected: "the release that the ledger has as published", Got: "none within a minute",
			Hint: "run the same command again; if somebody deleted it, release under the next version"}
	}
	return rel, err
}

// Promote ends the release: a stable one that was approved is no pre-release any
// longer. "RCs end as pre-releases by design."
func (r *Release) Promote(ctx context.Context, w *pipeline.Work) error {
	if !r.Tag.Stable() {
		w.Infof("%s is a release candidate and stays a pre-release", r.Tag)
		return nil
	}
	if err := r.catalogued(ctx); err != nil {
		return err
	}
	if err := r.followed(ctx, w); err != nil {
		return err
	}
	var audited auditRecord
	if err := ReadJSON(r.Work(AuditFile), &audited); err != nil {
		return err
	}
	rel, err := r.public(ctx)
	if err != nil {
		return err
	}
	approval, err := r.approved(ctx, w)
	if err != nil {
		return err
	}
	p := &publish.Publisher{GitHub: r.GitHub, Journal: w.Journal}
	promoted, err := p.Promote(ctx, rel, audited.Assets, approval.Section())
	if err != nil {
		return err
	}
	w.Infof("promoted: %s", promoted.HTMLURL)
	r.announce(ctx, w, promoted.HTMLURL)
	return nil
}
