package door

import (
	"context"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/dstack"
	"github.com/calimero-network/mero-tee/internal/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// Sweep lists what interrupted runs left at the provider and, with apply, deletes it.
func Sweep(ctx context.Context, apply *bool) error { return report("sweep", sweep(ctx, Value(apply))) }

func sweep(ctx context.Context, apply bool) error {
	o, err := openOperator(ctx)
	if err != nil {
		return err
	}
	defer o.world.Close() //nolint:errcheck // nothing was written
	records, err := allRecords(o.env.Dist)
	if err != nil {
		return err
	}
	c := o.console
	found, err := kmsrelease.Sweep(ctx, dstack.New(o.env.DstackURL, o.env.DstackKey.Reveal(), o.env.Transport), records, apply)
	for _, name := range found {
		c.Infof("left behind: %s%s", name, map[bool]string{true: ", deleted", false: ""}[apply])
	}
	switch {
	case err != nil:
		return err
	case len(found) == 0:
		c.Infof("nothing is left behind")
	case !apply:
		c.Infof("nothing was deleted; `sweep -apply` does")
	}
	return nil
}

// allRecords reads the ledger of every release under dist.
func allRecords(dist string) ([]pipeline.Record, error) {
	paths, err := filepath.Glob(filepath.Join(dist, "*", pipeline.LedgerName))
	if err != nil {
		return nil, err
	}
	var out []pipeline.Record
	for _, path := range paths {
		f, err := os.Open(path)
		if err != nil {
			return nil, err
		}
		records, _, err := pipeline.ReadLedger(f)
		_ = f.Close() // read only
		if err != nil {
			return nil, err
		}
		out = append(out, records...)
	}
	return out, nil
}
