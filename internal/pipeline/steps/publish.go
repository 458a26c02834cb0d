package steps

import (
	"context"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/publish"
	"github.com/calimero-network/mero-tee/internal/provider/github"
)

// Publish fills a draft, audits the draft by downloading it, and only then
// makes it public, as a pre-release: promotion comes after E2E.
func (l *Lane) Publish(ctx context.Context, w *pipeline.Work) error {
	text, err := l.measured(ctx, w)
	if err != nil {
		return err
	}
	p, journalled := l.publisher(w)
	draft, result, err := p.Fill(ctx, publish.Plan{Tag: l.Tag, Commit: l.Checkout.Commit, Title: l.Tag.String(), Notes: text,
		Dir: l.Assets(), Names: l.Tag.Family.ExpectedAssets()})
	if err := errors.Join(err, journalled()); err != nil {
		return err
	}
	w.Infof("uploaded %d assets, %d were there already", len(result.Uploaded), len(result.Kept))
	if _, err := l.auditOK(ctx, draft.ID, "draft"); err != nil {
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

// measured compares the measurements with the previous release's: "if MRTD
// changes, must update policy and catalog" holds for a hotfix. It returns the notes.
func (l *Lane) measured(ctx context.Context, w *pipeline.Work) (string, error) {
	plan, err := l.planned()
	if err != nil {
		return "", err
	}
	decision, err := plan.decision()
	if err != nil {
		return "", err
	}
	after, err := ReadMeasurements(l.Assets())
	if err != nil {
		return "", err
	}
	before, err := l.previous(ctx, w)
	if err != nil {
		return "", err
	}
	results := l.Judged(check.Results{decision.Measured(before, after)})
	results.Print(w.Console)
	if err := results.Err(); err != nil {
		return "", err
	}
	return l.notes(ctx, before, after)
}

// publisher journals every side effect in the ledger; a journal that cannot be
// written is an error of the move it belongs to.
func (l *Lane) publisher(w *pipeline.Work) (p *publish.Publisher, journalled func() error) {
	var failed error
	journal := func(event string, kv ...any) {
		failed = errors.Join(failed, w.Journal(event, fmt.Sprintln(kv...)))
	}
	return &publish.Publisher{GitHub: l.GitHub, Journal: journal}, func() error { return failed }
}

// PublicAssets is what GitHub now says of the public release.
func (l *Lane) PublicAssets(ctx context.Context) (pipeline.Digests, error) {
	rel, err := l.GitHub.ReleaseByTag(ctx, l.Tag.String())
	if errors.Is(err, github.ErrNotFound) {
		return pipeline.Digests{"release": "absent"}, nil
	}
	if err != nil {
		return nil, err
	}
	return publish.Digests(rel), nil
}
