package steps

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
	"github.com/calimero-network/mero-tee/policies"
)

// GuardInputs is everything that the guards judge and that can change.
func (l *Lane) GuardInputs(context.Context) (pipeline.Digests, error) {
	cfg := l.Env.Config
	in := pipeline.Digests{"tag": l.Tag.String(), release.KMS.VersionVariable(): cfg.KMSVersion, release.Node.VersionVariable(): cfg.TEEVersion}
	var err error
	if in["policies"], err = DirDigest(l.Checkout.Policies); err != nil {
		return nil, err
	}
	if in["workflows"], err = treeDigest(l.Env.Root, ".github", "scripts"); err != nil {
		return nil, err
	}
	if in["notes"], err = FileDigest(l.notesFile()); err != nil {
		return nil, err
	}
	in["catalog"], err = FileDigest(l.Checkout.Catalog)
	return in, err
}

// GuardOutputs are what the later steps build upon: the verified counterpart and the policies.
func (l *Lane) GuardOutputs(context.Context) (pipeline.Digests, error) {
	counterpart, err := FileDigest(filepath.Join(l.CounterpartDir(), release.MeasurementsAsset))
	if err != nil {
		return nil, err
	}
	policies, err := DirDigest(l.Checkout.Policies)
	if err != nil {
		return nil, err
	}
	plan, err := FileDigest(l.Work(PlanFile))
	return pipeline.Digests{"counterpart": counterpart, "policies": policies, "plan": plan}, err
}

// RunGuards decides the class, says which rules follow from it, and runs guards
// 2, 3 and 4. Guard 1 belongs to pull requests.
func (l *Lane) RunGuards(ctx context.Context, w *pipeline.Work) error {
	plan, err := l.Plan(ctx)
	if err != nil {
		return err
	}
	results, err := l.Guards(ctx)
	if err != nil {
		return err
	}
	plan.Checks = append(plan.Checks, results...)
	if !plan.Rules.SkippedChecks {
		plan.Checks = plan.Checks.Strict()
	}
	if err := w.Lines(plan.WriteRules); err != nil {
		return err
	}
	plan.Checks.Print(w.Console)
	if err := plan.Err(); err != nil {
		return err
	}
	return l.recordPlan(plan)
}

// Judged is results under the rule of the release's class: "a stable release refuses skipped".
func (l *Lane) Judged(results check.Results) check.Results {
	if l.Tag.Stable() {
		return results.Strict()
	}
	return results
}

// Guards are the results of the guards of this release.
func (l *Lane) Guards(ctx context.Context) (check.Results, error) {
	out := check.Results{guard.Version(l.Tag.String(), l.Env.Config.Version(l.Tag.Family))}
	workflows, err := guard.Workflows(os.DirFS(l.Env.Root))
	if err != nil {
		return nil, err
	}
	out = append(out, guard.Allowed(os.Environ(), workflows)...)
	pair, err := l.pair(ctx)
	return append(out, pair...), err
}

func (l *Lane) pair(ctx context.Context) (check.Results, error) {
	data, err := os.ReadFile(l.Checkout.Catalog)
	if err != nil {
		return nil, fmt.Errorf("compatibility catalog: %w", err)
	}
	pairs, err := catalog.Decode(data)
	if err != nil {
		return nil, err
	}
	working, err := policies.LoadDir(os.DirFS(l.Checkout.Policies))
	if err != nil {
		return nil, err
	}
	in := guard.PairInput{Tag: l.Tag, Counterpart: l.Env.Config.Version(l.Tag.Family.Counterpart()), Releases: l.Published(), Catalog: pairs}
	if l.Tag.Family == release.KMS {
		in.Working = working
	}
	return guard.Pair(ctx, in)
}
