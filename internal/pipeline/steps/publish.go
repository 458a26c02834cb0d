package steps

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/publish"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// Publish fills a draft, audits the draft by downloading it, and only then
// makes it public, as a pre-release: promotion comes after E2E.
func (r *Release) Publish(ctx context.Context, w *pipeline.Work) error {
	text, err := r.measured(ctx, w)
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

// measured compares the measurements with the previous release's: "if MRTD
// changes, must update policy and catalog" holds for a hotfix. It returns the notes.
func (r *Release) measured(ctx context.Context, w *pipeline.Work) (string, error) {
	plan, err := r.planned()
	if err != nil {
		return "", err
	}
	decision, err := plan.decision()
	if err != nil {
		return "", err
	}
	after, err := ReadMeasurements(r.Assets())
	if err != nil {
		return "", err
	}
	before, err := r.previous(ctx, w)
	if err != nil {
		return "", err
	}
	results := r.Judged(check.Results{decision.Measured(before, after)})
	if err := results.Report(w.Console); err != nil {
		return "", err
	}
	return r.notes(ctx, before, after)
}

// PublicAssets is what GitHub now says of the public release.
func (r *Release) PublicAssets(ctx context.Context) (pipeline.Digests, error) {
	rel, err := r.GitHub.ReleaseByTag(ctx, r.Tag.String())
	if errors.Is(err, github.ErrNotFound) {
		return pipeline.Digests{"release": "absent"}, nil
	}
	if err != nil {
		return nil, err
	}
	return publish.Digests(rel), nil
}

// Promote ends the release: a stable one is no pre-release any longer. "RCs end
// as pre-releases by design."
func (r *Release) Promote(ctx context.Context, w *pipeline.Work) error {
	if !r.Tag.Stable() {
		w.Infof("%s is a release candidate and stays a pre-release", r.Tag)
		return nil
	}
	var audited auditRecord
	if err := ReadJSON(r.Work(AuditFile), &audited); err != nil {
		return err
	}
	rel, err := r.GitHub.ReleaseByTag(ctx, r.Tag.String())
	if err != nil {
		return err
	}
	p := &publish.Publisher{GitHub: r.GitHub, Journal: w.Journal}
	promoted, err := p.Promote(ctx, rel, audited.Assets)
	if err != nil {
		return err
	}
	w.Infof("promoted: %s", promoted.HTMLURL)
	return nil
}
