package kmsrelease

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// promote ends the release: the catalog's entries are proposed, and a stable
// release is no pre-release any longer. "RCs end as pre-releases by design."
func (r *Release) promote(ctx context.Context, w *pipeline.Work) error {
	var e2e e2eRecord
	if err := readJSON(r.work(e2eFile), &e2e); err != nil {
		return err
	}
	if !e2e.Passed {
		w.Warnf("E2E did not pass; %s stays a pre-release and no catalog entry is proposed", r.Tag)
		return nil
	}
	if err := r.proposeCatalog(ctx, w, e2e.Matrix); err != nil {
		return err
	}
	if !r.Tag.Stable() {
		w.Infof("%s is a release candidate and stays a pre-release", r.Tag)
		return nil
	}
	var audited auditRecord
	if err := readJSON(r.work(auditFile), &audited); err != nil {
		return err
	}
	rel, err := r.github.ReleaseByTag(ctx, r.Tag.String())
	if err != nil {
		return err
	}
	p, journalled := r.publisher(w)
	promoted, err := p.Promote(ctx, rel, audited.Assets)
	if err := errors.Join(err, journalled()); err != nil {
		return err
	}
	w.Infof("promoted: %s", promoted.HTMLURL)
	return nil
}
