package steps

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
	"github.com/calimero-network/mero-tee/policies"
)

// GuardInputs is everything that the guards judge and that can change. The
// variables among it are what Judged gives back to the later steps.
func (r *Release) GuardInputs(context.Context) (pipeline.Digests, error) {
	in := pipeline.Digests{"tag": r.Tag.String()}
	maps.Copy(in, pipeline.Digests(r.Env.Config.Judged()))
	var err error
	if in["policies"], err = DirDigest(r.Checkout.Policies); err != nil {
		return nil, err
	}
	workflows, err := r.workflows.Workflows(os.DirFS(r.Env.Root))
	if err != nil {
		return nil, err
	}
	in["workflows"] = digest.Of(fmt.Appendf(nil, "%q", workflows)).String()
	if in["host-tcb"], err = FileDigest(r.Checkout.HostTCB); err != nil {
		return nil, err
	}
	if in["notes"], err = FileDigest(r.notesFile()); err != nil {
		return nil, err
	}
	if in["evidence"], err = DirDigest(r.Checkout.Evidence); err != nil {
		return nil, err
	}
	in["catalog"], err = FileDigest(r.Checkout.Catalog)
	return in, err
}

// variable is the family's version variable as the guards read it, empty when it is not set.
func (r *Release) variable(f release.Family) string {
	if v := r.Env.Config.Version(f); v != (release.Version{}) {
		return v.String()
	}
	return ""
}

// GuardOutputs are what the later steps build upon: the verified counterpart and the policies.
func (r *Release) GuardOutputs(context.Context) (pipeline.Digests, error) {
	counterpart, err := FileDigest(filepath.Join(r.CounterpartDir(), release.MeasurementsAsset))
	if err != nil {
		return nil, err
	}
	policies, err := DirDigest(r.Checkout.Policies)
	if err != nil {
		return nil, err
	}
	host, err := FileDigest(r.Checkout.HostTCB)
	if err != nil {
		return nil, err
	}
	plan, err := FileDigest(r.Work(PlanFile))
	return pipeline.Digests{"counterpart": counterpart, "policies": policies, "host-tcb": host, "plan": plan}, err
}

// RunGuards decides the class, says which rules follow from it, runs guards 2, 3
// and 4, and asks for CI's verdict. Guard 1 belongs to pull requests.
func (r *Release) RunGuards(ctx context.Context, w *pipeline.Work) error {
	plan, err := r.Plan(ctx)
	if err != nil {
		return err
	}
	if err := Waive(plan, r.Checkout.Policies, r.Checkout.HostTCB); err != nil {
		return err
	}
	results, err := r.Guards(ctx)
	if err != nil {
		return err
	}
	plan.Checks = append(plan.Checks, results...)
	if results, err = r.CI(ctx, w, plan); err != nil {
		return err
	}
	plan.Checks = append(plan.Checks, results...)
	if !plan.Rules.SkippedChecks {
		plan.Checks = plan.Checks.Strict()
	}
	for _, waiver := range plan.Waivers {
		w.Warnf("TCB waiver in %s", waiver)
	}
	for _, u := range plan.Untested {
		w.Warnf("promoted without E2E: %s", u)
	}
	if err := w.Lines(plan.WriteRules); err != nil {
		return err
	}
	if err := r.keep(guardsFile, plan.Checks); err != nil {
		return err
	}
	if err := plan.Checks.Report(w.Console); err != nil {
		return err
	}
	return r.recordPlan(plan)
}

// Judged is results under the rule of the release's class: "a stable release refuses skipped".
func (r *Release) Judged(results check.Results) check.Results {
	if r.Tag.Stable() {
		return results.Strict()
	}
	return results
}

// Guards are the results of the guards of this release.
func (r *Release) Guards(ctx context.Context) (check.Results, error) {
	out := check.Results{guard.Version(r.Tag.String(), r.variable(r.Tag.Family))}
	workflows, err := guard.Workflows(os.DirFS(r.Env.Root))
	if err != nil {
		return nil, err
	}
	out = append(out, guard.Allowed(os.Environ(), workflows)...)
	pair, err := r.pair(ctx)
	return append(out, pair...), err
}

func (r *Release) pair(ctx context.Context) (check.Results, error) {
	pairs, err := catalog.Read(r.Checkout.Catalog)
	if err != nil {
		return nil, err
	}
	working, err := policies.LoadDir(os.DirFS(r.Checkout.Policies))
	if err != nil {
		return nil, err
	}
	in := guard.PairInput{Tag: r.Tag, Counterpart: r.variable(r.Tag.Family.Counterpart()), Releases: r.Published(),
		Catalog: pairs, CatalogPath: r.Env.Config.CatalogPath, Evidence: r.reviewed(), Now: time.Now()}
	if r.Tag.Family == release.KMS {
		in.Working = working
	}
	return guard.Pair(ctx, in)
}
