package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/e2e"
)

// E2ENode is the mero-tee-node E2E, alone.
func E2ENode(ctx context.Context, kms, node string) error {
	return runE2E(ctx, e2e.NodeSuite, kms, node)
}

// E2EGuardrails is the KMS-Node E2E Guardrails, alone.
func E2EGuardrails(ctx context.Context, kms, node string) error {
	return runE2E(ctx, e2e.GuardrailSuite, kms, node)
}

// runE2E runs one suite of the end-to-end test, alone, with two public releases that
// it audits first; without a tag it takes the newest public one of the family.
// "Two test suites run independently." Nothing of a release changes, and what the
// run makes is gone when it ends.
func runE2E(ctx context.Context, suite e2e.Suite, kms, node string) error {
	tags := map[release.Family]release.Tag{}
	for family, name := range map[release.Family]string{release.KMS: kms, release.Node: node} {
		if name == "" {
			continue
		}
		tag, err := parseTag(family, name)
		if err != nil {
			return err
		}
		tags[family] = tag
	}
	return operate(ctx, func(o *operator) error {
		if err := o.newest(ctx, tags); err != nil {
			return err
		}
		return o.runSuite(ctx, suite, tags[release.KMS], tags[release.Node])
	})
}

// newest adds the newest public release of each family that has no tag yet.
func (o *operator) newest(ctx context.Context, tags map[release.Family]release.Tag) error {
	if len(tags) == len(release.Families()) {
		return nil
	}
	all, err := o.github.Releases(ctx)
	if err != nil {
		return err
	}
	return complete(tags, all)
}

func complete(tags map[release.Family]release.Tag, all []github.Release) error {
	for _, tag := range recent(all, 1) {
		if _, given := tags[tag.Family]; !given {
			tags[tag.Family] = tag
		}
	}
	for _, f := range release.Families() {
		if _, there := tags[f]; !there {
			return &fault.Error{Code: fault.MissingAsset, Message: "there is no public release of " + f.Title(),
				Expected: "one to test with", Got: "none", Hint: "release one first: go tool mage release:" + f.Short()}
		}
	}
	return nil
}

// runSuite audits both releases and runs the suite, with a ledger of its own.
func (o *operator) runSuite(ctx context.Context, suite e2e.Suite, kms, node release.Tag) error {
	dir, remove, err := file.Temp("e2e")
	if err != nil {
		return err
	}
	defer remove()
	trial, err := o.trial(ctx, dir, kms, node)
	if err != nil {
		return err
	}
	trial.Suites, trial.Name = []e2e.Suite{suite}, "run-"+dstack.NewRun()
	if suite == e2e.GuardrailSuite {
		if trial.Catalog, err = o.catalogOnMain(ctx); err != nil {
			return err
		}
	}
	commit, err := o.github.TagCommit(ctx, kms.String())
	if err != nil {
		return err
	}
	o.console.Infof("%s: %s with %s%s", suite, kms, node, o.banner())
	var report *e2e.Report
	err = o.withLedger("e2e", kms, commit, func(j journal.Journal) (err error) {
		trial.Journal = j
		report, err = trial.Execute(ctx)
		return err
	})
	if err != nil {
		return err
	}
	return errors.Join(report.Checks.Results().Report(o.console), o.console.Lines(report.Write))
}

// trial is the test of two releases that pass their audits; dir is for their assets.
func (o *operator) trial(ctx context.Context, dir string, kms, node release.Tag) (*steps.Trial, error) {
	published := steps.NewPublished(o.env, o.github, dir)
	t := &steps.Trial{Env: o.env, GitHub: o.github, Published: published}
	for _, side := range []struct {
		tag release.Tag
		dir *string
	}{{kms, &t.KMS}, {node, &t.Node}} {
		there, err := published.Has(ctx, side.tag)
		if err == nil && !there {
			err = &fault.Error{Code: fault.MissingAsset, Message: "there is no public release " + side.tag.String(),
				Expected: "one to test with", Got: "none", Hint: "without a tag the newest public release is taken"}
		}
		if err != nil {
			return nil, err
		}
		o.console.Infof("auditing %s", side.tag)
		if *side.dir, err = published.Audited(ctx, side.tag); err != nil {
			return nil, err
		}
	}
	measured, err := steps.ReadMeasurements(t.KMS)
	if err != nil {
		return nil, err
	}
	t.HostTCB = *measured.HostTCB
	return t, nil
}

// catalogOnMain is the compatibility catalog of the main branch.
func (o *operator) catalogOnMain(ctx context.Context) (*catalog.Catalog, error) {
	data, err := o.onMain(ctx, o.env.Config.CatalogPath)
	if err != nil {
		return nil, err
	}
	return catalog.Decode(data)
}

// withLedger does what makes something at providers with a ledger of its own under
// dist/, where `sweep` finds what an interrupted command left. It goes when nothing is open.
func (o *operator) withLedger(command string, tag release.Tag, commit string, do func(journal.Journal) error) error {
	dir := filepath.Join(o.env.Dist, fmt.Sprintf("%s-%s", command, dstack.NewRun()))
	ledger, err := pipeline.OpenLedger(dir, tag.String(), commit, time.Now)
	if err != nil {
		return err
	}
	err = do(ledger.Journal(command))
	open := 0
	for _, kind := range []journal.Kind{journal.Deployment, journal.VM, journal.Branch} {
		open += len(ledger.Open(kind))
	}
	err = errors.Join(err, ledger.Close())
	if open == 0 {
		return errors.Join(err, os.RemoveAll(dir))
	}
	return err
}
