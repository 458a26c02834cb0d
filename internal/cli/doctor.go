package cli

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/cli/doctor"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Doctor writes the table of variables and secrets, and judges what a release
// of the family, or of both, will need: one line per check, code 10 when one fails.
func Doctor(ctx context.Context, w io.Writer, family string) error {
	return report("doctor", examined(ctx, w, family))
}

func examined(ctx context.Context, w io.Writer, family string) error {
	families, err := familiesOf(family)
	if err != nil {
		return err
	}
	cfg, entries := config.Inspect(os.LookupEnv)
	if err := doctor.WriteTable(w, entries, families...); err != nil {
		return err
	}
	c, results := Console(), doctor.Configured(cfg, entries, families...)
	doctor.Print(c, results)
	asked, err := examine(ctx, c, families)
	if err != nil {
		return err
	}
	doctor.Print(c, asked)
	return diagnosis(append(results, asked...))
}

// examine asks in the environment that the configuration names, if it is valid.
func examine(ctx context.Context, c *console.Console, families []release.Family) (check.Results, error) {
	p, err := here()
	if err != nil {
		return nil, err
	}
	cfg, err := configuration(p, families[0], "")
	if err != nil {
		return check.Results{check.Skip("everything else", "the configuration comes first")}, nil
	}
	env, world, err := environmentOf(ctx, p, cfg, c)
	if err != nil {
		return nil, err
	}
	defer world.Close() //nolint:errcheck // nothing was written
	return doctor.Examine(ctx, env, families...), nil
}

func diagnosis(results check.Results) error {
	failed := results.Count(check.Failed)
	if failed == 0 {
		return nil
	}
	return &fault.Error{Code: fault.Verification, Message: fmt.Sprintf("a release would stop: %d of %d checks failed", failed, len(results))}
}

// familiesOf is the family that is named in short, or both.
func familiesOf(short string) ([]release.Family, error) {
	if short == "" {
		return release.Families(), nil
	}
	for _, f := range release.Families() {
		if f.Short() == short {
			return []release.Family{f}, nil
		}
	}
	return nil, &fault.Error{Code: fault.Usage, Message: "not a family", Expected: "kms or node", Got: fmt.Sprintf("%q", short)}
}
