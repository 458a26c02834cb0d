package kmsrelease

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/check"
	"github.com/calimero-network/mero-tee/internal/guard"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

const counterpartDir = "counterpart" // the audited assets of the node release

func (r *Release) guardInputs(context.Context) (pipeline.Digests, error) {
	cfg := r.Env.Config
	in := pipeline.Digests{"tag": r.Tag.String(), release.KMS.VersionVariable(): cfg.KMSVersion, release.Node.VersionVariable(): cfg.TEEVersion}
	var err error
	if in["policies"], err = dirDigest(r.Checkout.Policies); err != nil {
		return nil, err
	}
	if in["workflows"], err = dirDigest(filepath.Join(r.Env.Root, ".github/workflows")); err != nil {
		return nil, err
	}
	in["catalog"], err = fileDigest(r.Checkout.Catalog)
	return in, err
}

// guardOutputs are what the later steps build upon: the verified counterpart and the policies.
func (r *Release) guardOutputs(context.Context) (pipeline.Digests, error) {
	evidence, err := fileDigest(r.work(counterpartDir, release.MeasurementsAsset))
	if err != nil {
		return nil, err
	}
	policies, err := dirDigest(r.Checkout.Policies)
	return pipeline.Digests{"counterpart": evidence, "policies": policies}, err
}

// runGuards runs guards 2, 3 and 4. Guard 1 belongs to pull requests.
func (r *Release) runGuards(ctx context.Context, w *pipeline.Work) error {
	results, err := r.Guards(ctx)
	if err != nil {
		return err
	}
	if r.Tag.Stable() {
		results = results.Strict()
	}
	results.Print(w.Console)
	return results.Err()
}

// Guards are the results of the guards of this release.
func (r *Release) Guards(ctx context.Context) (check.Results, error) {
	out := check.Results{guard.Version(r.Tag.String(), r.Env.Config.KMSVersion)}
	workflows, err := guard.Workflows(os.DirFS(r.Env.Root))
	if err != nil {
		return nil, err
	}
	out = append(out, guard.Allowed(os.Environ(), workflows)...)
	pair, err := r.pair(ctx)
	return append(out, pair...), err
}

func (r *Release) pair(ctx context.Context) (check.Results, error) {
	data, err := os.ReadFile(r.Checkout.Catalog)
	if err != nil {
		return nil, fmt.Errorf("compatibility catalog: %w", err)
	}
	pairs, err := catalog.Decode(data)
	if err != nil {
		return nil, err
	}
	working, err := policies.LoadDir(os.DirFS(r.Checkout.Policies))
	if err != nil {
		return nil, err
	}
	return guard.Pair(ctx, guard.PairInput{Tag: r.Tag, Counterpart: r.Env.Config.TEEVersion, Releases: published{r}, Catalog: pairs, Working: working})
}

// counterpart is the node release that MERO_TEE_VERSION names.
func (r *Release) counterpart() (release.Tag, error) {
	v, err := release.ParseVersion(r.Env.Config.TEEVersion)
	return release.Tag{Family: release.Node, Version: v}, err
}

// readCounterpart reads what the guards verified; nothing when the node family has no release yet.
func (r *Release) readCounterpart() (policies.Evidence, error) {
	data, err := os.ReadFile(r.work(counterpartDir, release.MeasurementsAsset))
	if os.IsNotExist(err) {
		return policies.Evidence{}, nil
	}
	if err != nil {
		return policies.Evidence{}, err
	}
	return policies.EvidenceOf(data)
}
