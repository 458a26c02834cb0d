// Package steps is what the release pipelines of both families share: a release
// under way, from its guards to its promotion.
//
// Its promise: what was audited is what was released; a step may be killed at
// any instant and run again; nothing is promoted that did not pass its audit and
// its end-to-end test; and what is tested is what the auditor downloaded, on
// deployments and VMs of which the ledger knew before they were made.
package steps

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/guard"
)

// Release is one release under way.
type Release struct {
	Tag      release.Tag
	Env      *environment.Environment
	Checkout *environment.Checkout
	Ledger   *pipeline.Ledger
	Console  *console.Console
	GitHub   *github.Client

	workflows guard.Reader // what guard 4 looks at, for the inputs of each step
}

// Open prepares the release of a tag: the repository's state, GitHub, and the
// ledger, which is locked until Close.
func Open(ctx context.Context, env *environment.Environment, tag release.Tag, c *console.Console) (*Release, error) {
	checkout, err := env.Checkout(ctx, tag)
	if err != nil {
		return nil, err
	}
	client, err := env.GitHub()
	if err != nil {
		return nil, err
	}
	r := &Release{Tag: tag, Env: env, Checkout: checkout, Console: c, GitHub: client}
	if err := errors.Join(os.MkdirAll(r.Assets(), 0o755), os.MkdirAll(r.Work(), 0o755)); err != nil {
		return nil, err
	}
	r.Ledger, err = pipeline.OpenLedger(Dir(env.Dist, tag), tag.String(), checkout.Commit, time.Now)
	if err != nil {
		return nil, err
	}
	// The ledger's lock is ours, so nobody writes here; an asset that a kill left half written would be a stranger.
	if err := file.Sweep(Dir(env.Dist, tag)); err != nil {
		return nil, errors.Join(err, r.Ledger.Close())
	}
	if r.Ledger.Torn() > 0 {
		c.Warnf("the ledger of %s ended in the middle of a line: %d bytes that a crash left were dropped",
			tag, r.Ledger.Torn())
	}
	return r, nil
}

// Close releases the ledger.
func (r *Release) Close() error { return r.Ledger.Close() }

// Dir is where a release is staged and its ledger lies.
func Dir(dist string, tag release.Tag) string { return filepath.Join(dist, tag.String()) }

// Assets is the folder of what will be uploaded, under its final names.
func (r *Release) Assets() string { return filepath.Join(Dir(r.Env.Dist, r.Tag), "assets") }

// Work is the folder of everything else.
func (r *Release) Work(elem ...string) string {
	return filepath.Join(append([]string{Dir(r.Env.Dist, r.Tag), "work"}, elem...)...)
}

// SourceURL is the repository's page.
func (r *Release) SourceURL() string { return "https://github.com/" + r.Env.Config.Repository }

// Counterpart is the release of the other family that its version variable names.
func (r *Release) Counterpart() (release.Tag, error) {
	return r.Env.Config.Current(r.Tag.Family.Counterpart())
}

// step is the name of one of this family's steps, which is its Mage target.
func (r *Release) step(name string) string { return r.Tag.Family.Short() + ":" + name }
