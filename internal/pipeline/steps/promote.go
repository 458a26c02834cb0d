package steps

import (
	"context"
	"errors"

	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// Promote ends the release: a stable one is no pre-release any longer. "RCs end
// as pre-releases by design."
func (l *Lane) Promote(ctx context.Context, w *pipeline.Work) error {
	if !l.Tag.Stable() {
		w.Infof("%s is a release candidate and stays a pre-release", l.Tag)
		return nil
	}
	var audited auditRecord
	if err := ReadJSON(l.Work(AuditFile), &audited); err != nil {
		return err
	}
	rel, err := l.GitHub.ReleaseByTag(ctx, l.Tag.String())
	if err != nil {
		return err
	}
	p, journalled := l.publisher(w)
	promoted, err := p.Promote(ctx, rel, audited.Assets)
	if err := errors.Join(err, journalled()); err != nil {
		return err
	}
	w.Infof("promoted: %s", promoted.HTMLURL)
	return nil
}
