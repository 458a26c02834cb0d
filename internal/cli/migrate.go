package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
	"github.com/calimero-network/mero-tee/internal/verify/migration"
	"github.com/calimero-network/mero-tee/policies/propose"
)

// Migrate walks the five migration steps of a profile from one KMS release to
// another. With the address of a service that was restarted already it verifies
// that one; without, it rehearses the restart at the provider with an
// application of its own, and cleans up. No other application is touched.
func Migrate(ctx context.Context, w io.Writer, from, to, profile, url string) error {
	p, err := release.ParseProfile(profile)
	if err != nil {
		return err
	}
	before, err := parseTag(release.KMS, from)
	if err != nil {
		return err
	}
	after, err := parseTag(release.KMS, to)
	if err != nil {
		return err
	}
	return operate(ctx, func(o *operator) error {
		m := migration.Migration{Profile: p}
		// Step 2, "Download New Policy … Verify its Sigstore signature", comes
		// before the pair is judged: what is not verified is not read.
		if m.From, err = o.keyService(ctx, before, p); err != nil {
			return err
		}
		if m.To, err = o.keyService(ctx, after, p); err != nil {
			return err
		}
		node, err := o.pair(ctx, m)
		if err != nil {
			return err
		}
		o.console.Infof("step 2: the %s policies of %s and %s are verified", p, m.From.Tag, m.To.Tag)
		if err := writePlan(w, m); err != nil {
			return err
		}
		return o.move(ctx, m, node, url)
	})
}

// keyService audits a KMS release and reads one profile of it.
func (o *operator) keyService(ctx context.Context, tag release.Tag, p release.Profile) (migration.Release, error) {
	out := migration.Release{Tag: tag}
	err := o.reading(ctx, tag, func(dir string) error {
		published, err := steps.ReadMeasurements(dir)
		if err != nil {
			return err
		}
		out.Published, out.HostTCB = published.Profiles[p], *published.HostTCB
		if out.Policy, err = steps.ReadPolicy(dir, p); err != nil {
			return err
		}
		out.PolicySHA256, _, err = digest.OfFile(filepath.Join(dir, release.PolicyAsset(p)))
		if err != nil {
			return err
		}
		out.AppCompose, err = os.ReadFile(filepath.Join(dir, release.ComposeAsset(p)))
		return err
	})
	return out, err
}

// pair finds the newest node release of step 1 in the catalog on the main branch.
func (o *operator) pair(ctx context.Context, m migration.Migration) (release.Tag, error) {
	c, err := steps.CatalogAt(ctx, o.github, o.env.Config.CatalogPath, propose.Base)
	if err != nil {
		return release.Tag{}, err
	}
	nodes, result := m.Pairs(c)
	if err := (check.Results{result}).Report(o.console); err != nil {
		return release.Tag{}, err
	}
	return nodes[0], nil
}

// writePlan is step 3, "Update KMS Config".
func writePlan(w io.Writer, m migration.Migration) error {
	variables, err := m.Environment()
	if err != nil {
		return err
	}
	_, _ = fmt.Fprintf(w, "# the environment of %s, %s\n", m.To.Tag, m.Profile)
	for _, v := range variables {
		_, _ = fmt.Fprintf(w, "%s=%s\n", v.Name, v.Value)
	}
	_, _ = fmt.Fprintf(w, "# measurements that change from %s\n", m.From.Tag)
	return m.WriteDiff(w)
}

// move is steps 4 and 5.
func (o *operator) move(ctx context.Context, m migration.Migration, tag release.Tag, url string) error {
	node, err := o.measurements(ctx, tag)
	if err != nil {
		return err
	}
	v, err := o.env.Verifier()
	if err != nil {
		return err
	}
	f := migration.Runner{ID: dstack.NewRun(), Verifier: v, HTTP: o.env.Client(),
		Nodes: o.env.Nodes("migrate", fmt.Sprintf("%s-migrate-%s", m.To.Tag, m.Profile), nil)}
	var results check.Results
	if url != "" {
		o.console.Infof("step 4: %s is taken to be restarted", url)
		results = f.Verify(ctx, m, node, url)
	} else if results, err = o.restart(ctx, f, m, node); err != nil {
		return err
	}
	if m.To.Tag.Stable() {
		results = results.Strict()
	}
	return results.Report(o.console)
}

// inPlace is the provider whose deployments are journalled, and which updates them.
type inPlace struct {
	e2e.Provider
	updater
}

type updater interface {
	Update(ctx context.Context, appID string, app dstack.App) (*dstack.Deployment, error)
}

// restart rehearses it, with a session of a node release that both policies
// admit. What it makes is in a ledger, so that nothing else is deleted, and
// `sweep` finds what an interrupted run left.
func (o *operator) restart(ctx context.Context, f migration.Runner, m migration.Migration,
	node *measurement.Published) (results check.Results, err error) {
	session, err := o.session(ctx, m, node)
	if err != nil {
		return nil, err
	}
	err = o.journalled(ctx, "migrate", m.To.Tag, func(p e2e.Provider) error {
		f.Provider = inPlace{p, o.env.Dstack()}
		results = f.Restart(ctx, m, session, node)
		return nil
	})
	return results, err
}

// session is the newest node release that both policies admit; nil when there is none.
func (o *operator) session(ctx context.Context, m migration.Migration,
	node *measurement.Published) (*measurement.Published, error) {
	tag, both := m.Session()
	switch {
	case !both:
		return nil, nil
	case tag == node.Tag:
		return node, nil
	}
	return o.measurements(ctx, tag)
}

// measurements audits a node release, whose nodes are to be booted.
func (o *operator) measurements(ctx context.Context, node release.Tag) (*measurement.Published, error) {
	data, err := o.published(ctx, node)
	if err != nil {
		return nil, err
	}
	return measurement.Decode(data)
}
