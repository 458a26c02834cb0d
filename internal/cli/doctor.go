package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/cli/doctor"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Doctor writes the table of variables and secrets, and judges what a release
// of the family, "kms" or "node", or of both, will need: one line per check,
// code 10 when one fails. steps ("kms:version,kms:build") are those of a job, if
// it is one that asks.
func Doctor(ctx context.Context, w io.Writer, family, steps string) error {
	families, err := parseFamilies(family)
	if err != nil {
		return err
	}
	scope := doctor.Whole(families...)
	if steps != "" {
		if scope, err = parseSteps(steps); err != nil {
			return err
		}
	}
	cfg, entries := config.Inspect(os.LookupEnv)
	if err := doctor.WriteTable(w, entries, families...); err != nil {
		return err
	}
	c, results := newConsole(), doctor.Configured(cfg, entries, scope)
	doctor.Print(c, results)
	found, err := examine(ctx, c, families[0], scope)
	if err != nil {
		return err
	}
	doctor.Print(c, found)
	return diagnosis(append(results, found...))
}

// examine asks in the environment that the configuration names, if it is valid.
func examine(ctx context.Context, c *console.Console, f release.Family, s doctor.Scope) (check.Results, error) {
	w, err := locate()
	if err != nil {
		return nil, err
	}
	if w.cfg, err = config.Load(os.LookupEnv); err != nil {
		return check.Results{check.Skip("everything else", "the configuration comes first")}, nil
	}
	w.rehearse(release.Tag{Family: f})
	w.person = true
	env, world, err := w.environment(ctx, c)
	if err != nil {
		return nil, err
	}
	defer closeWorld(world, c)
	return doctor.Examine(ctx, env, s), nil
}

func diagnosis(results check.Results) error {
	failed := results.Count(check.Failed)
	if failed == 0 {
		return nil
	}
	return &fault.Error{Code: fault.Verification,
		Message: fmt.Sprintf("a release would stop: %d of %d checks failed", failed, len(results))}
}

// parseSteps reads names of steps with commas between them.
func parseSteps(list string) (doctor.Scope, error) {
	steps := strings.Split(list, ",")
	for _, step := range steps {
		if len(planOf(release.KMS).Target(step)) == 0 && len(planOf(release.Node).Target(step)) == 0 {
			return doctor.Scope{}, &fault.Error{Code: fault.Usage, Message: "unknown step",
				Expected: "steps that release:plan lists, with commas between them", Got: fmt.Sprintf("%q", step)}
		}
	}
	return doctor.Job(steps...), nil
}

// parseFamilies reads a family's short name; empty means both.
func parseFamilies(short string) ([]release.Family, error) {
	if short == "" {
		return release.Families(), nil
	}
	for _, f := range release.Families() {
		if f.Short() == short {
			return []release.Family{f}, nil
		}
	}
	return nil, &fault.Error{Code: fault.Usage, Message: "unknown family",
		Expected: "kms or node", Got: fmt.Sprintf("%q", short)}
}
