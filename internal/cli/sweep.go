package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Sweep lists what interrupted runs left at the providers and, with apply,
// deletes it: deployments that a ledger of this machine saw begin and not end,
// and what Compute Engine has under our label whose time is up. With unexpired
// it takes what may still be in use, too.
func Sweep(ctx context.Context, apply, unexpired bool) error {
	return operate(ctx, func(o *operator) error {
		s := &sweeper{operator: o, apply: apply, unexpired: unexpired}
		err := errors.Join(s.deployments(ctx), s.cloud(ctx))
		switch {
		case err != nil:
			return err
		case s.found == 0:
			o.console.Infof("nothing is left behind")
		case !apply:
			o.console.Infof("nothing was deleted; `sweep -apply` does")
		}
		return nil
	})
}

type sweeper struct {
	*operator
	apply, unexpired bool
	found            int
}

func (s *sweeper) say(what string) {
	s.found++
	if s.apply {
		what += ", deleted"
	}
	s.console.Infof("left behind: %s", what)
}

// deployments are the dstack provider's, which has no labels: the journal knows their names.
func (s *sweeper) deployments(ctx context.Context) error {
	records, err := allRecords(s.env.Dist)
	if err != nil {
		return err
	}
	found, err := steps.SweepDeployments(ctx, s.env.Dstack(), records, s.apply)
	for _, name := range found {
		s.say("deployment " + name)
	}
	return err
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
	resources, err := client.Leftovers(ctx)
	if err != nil {
		return err
	}
	public, err := s.publicVersions(ctx)
	if err != nil {
		return err
	}
	for _, r := range resources {
		if err := s.resource(ctx, client, r, public); err != nil {
			return err
		}
	}
	return nil
}

func (s *sweeper) resource(ctx context.Context, client *gce.Client, r gce.Resource, public map[string]bool) error {
	what := string(r.Kind) + " " + r.Name
	switch {
	case r.Kind == gce.Images && public[r.Labels["version"]]:
		return nil // a release's image stays
	case !r.Expired && !s.unexpired:
		s.console.Infof("%s of run %s may be in use until %s", what, r.Run, r.Expires.Format(time.RFC3339))
		return nil
	case s.apply:
		if err := client.Remove(ctx, r); err != nil {
			return err
		}
	}
	s.say(what)
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
		records, _, err := pipeline.ReadLedger(f.Name(), f)
		_ = f.Close() // read only
		if err != nil {
			return nil, err
		}
		out = append(out, records...)
	}
	return out, nil
}
