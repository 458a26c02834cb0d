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
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/cli/doctor"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
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
	space, err := jobSpace()
	if err != nil {
		return err
	}
	c := newConsole()
	space.tellMoved(c)
	if err := doctor.WriteTable(w, space.entries, families...); err != nil {
		return err
	}
	results := doctor.Configured(space.cfg, space.entries, scope)
	doctor.Print(c, results)
	found, err := space.examine(ctx, c, families[0], scope)
	if err != nil {
		return err
	}
	doctor.Print(c, found)
	return diagnosis(append(results, found...))
}

// jobSpace is the configuration, valid or not, with what was judged already of
// the tag that a release workflow is about: that is what its steps will take.
func jobSpace() (*workspace, error) {
	w, err := locate()
	if err != nil {
		return nil, err
	}
	w.cfg, w.entries = config.Inspect(os.LookupEnv)
	tag, err := release.ParseTag(w.cfg.RefName)
	if err != nil || !w.cfg.Actions {
		return w, nil //nolint:nilerr // it is no tag's workflow that asks
	}
	return w, w.recall(tag, steps.Dir(w.dist, tag))
}

// examine asks in the environment that the configuration names, if it is valid.
// A rehearsal's is one of its own, which is gone afterwards: a look changes nothing,
// and what is under way in the other is not disturbed.
func (w *workspace) examine(ctx context.Context, c *console.Console, f release.Family, s doctor.Scope) (
	check.Results, error,
) {
	if config.Fault(w.entries) != nil {
		return check.Results{check.Skip("everything else", "the configuration comes first")}, nil
	}
	w.rehearse(release.Tag{Family: f})
	w.person = true
	if w.cfg.Environment == config.Rehearsal {
		dist, remove, err := file.Temp("dist")
		if err != nil {
			return nil, err
		}
		defer remove()
		w.dist = dist
	}
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
