package cli

import (
	"context"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/audit"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
)

// side audits a release and reads one profile of it.
func (o *operator) side(ctx context.Context, name string, p release.Profile) (out migration.Release, err error) {
	if out.Tag, err = kmsTag(name); err != nil {
		return out, err
	}
	err = o.reading(ctx, out.Tag, func(dir string) error {
		published, err := steps.ReadMeasurements(dir)
		if err != nil {
			return err
		}
		out.Published = published.Profiles[p]
		if out.Policy, err = steps.ReadPolicy(dir, p); err != nil {
			return err
		}
		out.AppCompose, err = os.ReadFile(filepath.Join(dir, release.ComposeAsset(p)))
		return err
	})
	return out, err
}

// reading audits a release and lets read look at its assets.
func (o *operator) reading(ctx context.Context, tag release.Tag, read func(dir string) error) error {
	return o.audited(ctx, audit.Subject{Tag: tag}, "", read)
}

// node audits a node release, whose nodes are to be booted.
func (o *operator) node(ctx context.Context, tag release.Tag) (out *measurement.Published, err error) {
	err = o.reading(ctx, tag, func(dir string) error {
		out, err = steps.ReadMeasurements(dir)
		return err
	})
	return out, err
}
