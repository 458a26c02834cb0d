package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Sweep lists what interrupted runs left at the providers and, with apply,
// deletes it: deployments, and branches on GitHub, that a ledger of this machine
// saw begin and not end, and what Compute Engine has under our label whose time is
// up. With unexpired it takes what may still be in use, too.
func Sweep(ctx context.Context, apply, unexpired bool) error {
	return operate(ctx, func(o *operator) error {
		s := &sweeper{operator: o, apply: apply, unexpired: unexpired}
		err := errors.Join(s.recorded(ctx), s.cloud(ctx))
		s.conclude(err == nil)
		return err
	})
}

type sweeper struct {
	*operator
	apply, unexpired bool
	found, inUse     int // what is left behind, and what may still be in use
}

// leftover says what is left behind, after it was deleted if it was.
func (s *sweeper) leftover(what string) {
	s.found++
	if s.apply {
		what += ", deleted"
	}
	s.console.Infof("left behind: %s", what)
}

func (s *sweeper) used(what, why string) {
	s.inUse++
	s.console.Infof("%s %s", what, why)
}

// conclude counts everything that was named. Nothing is left only where all was looked at.
func (s *sweeper) conclude(whole bool) {
	if s.found == 0 && s.inUse == 0 && whole {
		s.console.Infof("nothing is left behind")
	}
	if s.found > 0 && !s.apply {
		s.console.Infof("%d left behind, nothing was deleted: `sweep -apply` does", s.found)
	}
	if s.inUse > 0 {
		s.console.Infof("%d may still be in use: look whether a release is running; `sweep -unexpired -apply` deletes them",
			s.inUse)
	}
	if !whole {
		s.console.Warnf("not everything could be looked at or deleted")
	}
}

// recorded is what has no label: the journal knows its name.
func (s *sweeper) recorded(ctx context.Context) error {
	ledgers, err := allLedgers(s.env.Dist)
	errs := []error{err}
	for _, l := range ledgers {
		apply := s.apply && (s.unexpired || !l.running)
		deployments, err := steps.SweepDeployments(ctx, s.env.Dstack(), l.records, apply)
		branches, failed := steps.SweepBranches(ctx, s.github, l.records, apply)
		errs = append(errs, err, failed)
		for _, name := range deployments {
			s.ofLedger(l, "deployment "+name)
		}
		for _, name := range branches {
			s.ofLedger(l, "branch "+name)
		}
	}
	return errors.Join(errs...)
}

func (s *sweeper) ofLedger(l ledger, what string) {
	if l.running && !s.unexpired {
		s.used(what, "may be in use: a command works with "+l.path)
		return
	}
	s.leftover(what)
}

// cloud is what Compute Engine has under our label, without the images of public releases.
func (s *sweeper) cloud(ctx context.Context) error {
	if s.env.Config.GCPProject == "" {
		s.console.Infof("GCP_PROJECT_ID is not set, so Compute Engine is not asked")
		return nil
	}
	client, err := s.env.Cloud(ctx, nil)
	if err != nil {
		return err
	}
	defer client.Close()
	public, err := s.publicVersions(ctx)
	if err != nil {
		return err
	}
	return s.resources(ctx, client, public)
}

// project is what a sweep asks of Compute Engine.
type project interface {
	Leftovers(ctx context.Context) ([]gce.Resource, error)
	Remove(ctx context.Context, r gce.Resource) error
}

// resources goes on after an error, of the lists too: what was found is left behind whatever was not.
func (s *sweeper) resources(ctx context.Context, cloud project, public map[string]bool) error {
	all, err := cloud.Leftovers(ctx)
	errs := []error{err}
	for _, r := range all {
		errs = append(errs, s.resource(ctx, cloud, r, public))
	}
	return errors.Join(errs...)
}

func (s *sweeper) resource(ctx context.Context, cloud project, r gce.Resource, public map[string]bool) error {
	what := string(r.Kind) + " " + r.Name
	switch {
	case r.Kind == gce.Images && public[r.Labels["version"]]:
		return nil // a release's image stays
	case !r.Expired && !s.unexpired:
		if r.Run != "" {
			what += " of run " + r.Run
		}
		if r.Expires.IsZero() {
			s.used(what, "may be in use: it has no end")
		} else {
			s.used(what, "may be in use until "+r.Expires.Format(time.RFC3339))
		}
		return nil
	case s.apply:
		if err := cloud.Remove(ctx, r); err != nil {
			return fmt.Errorf("%s: %w", what, err)
		}
	}
	s.leftover(what)
	return nil
}

// publicVersions are those of the node releases, as image labels write them.
func (s *sweeper) publicVersions(ctx context.Context) (map[string]bool, error) {
	all, err := s.github.Releases(ctx)
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, r := range all {
		if tag, err := release.ParseTag(r.TagName); err == nil && tag.Family == release.Node {
			out[gce.RunLabel(tag.Version.String())] = true
		}
	}
	return out, nil
}

// ledger is what a release recorded on this machine.
type ledger struct {
	path    string
	records []pipeline.Record
	running bool // a command holds it
}

// allLedgers reads the ledger of every release under dist. With an error some are missing.
func allLedgers(dist string) ([]ledger, error) {
	paths, err := file.Glob(dist, "*/"+pipeline.LedgerName)
	errs := []error{err}
	var out []ledger
	for _, path := range paths {
		l, err := readLedger(path)
		if err == nil {
			out = append(out, l)
		}
		errs = append(errs, err)
	}
	return out, errors.Join(errs...)
}

func readLedger(path string) (ledger, error) {
	f, err := os.Open(path)
	if err != nil {
		return ledger{}, err
	}
	defer f.Close()
	l := ledger{path: path, running: file.TryLock(f) != nil}
	l.records, _, err = pipeline.ReadLedger(path, f)
	return l, err
}
