package cli

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// releasedBoots are the event logs of a node release, audited.
func (o *operator) releasedBoots(ctx context.Context, node release.Tag) (out propose.Boots, err error) {
	err = o.reading(ctx, node, func(dir string) error {
		out, err = o.boots(ctx, dir)
		return err
	})
	return out, err
}

// boots are the event logs of the profiles whose evidence is in dir. Every quote is verified: what a file says that
// nobody signed is not believed.
func (o *operator) boots(ctx context.Context, dir string) (propose.Boots, error) {
	out := propose.Boots{}
	for _, p := range release.Profiles() {
		data, err := readJSON(filepath.Join(dir, release.EvidenceAsset(p)))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		e, err := evidence.DecodeEvidence(data)
		if err != nil {
			return nil, err
		}
		if e.Profile != p {
			return nil, fault.Mismatch("evidence of another profile", string(p), string(e.Profile))
		}
		boots, err := e.Observe(ctx, o.env.TDXRoot)
		if err != nil {
			return nil, err
		}
		out[p] = boots[0].Events
	}
	return out, nil
}
