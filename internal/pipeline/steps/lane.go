// Package steps is what the release pipelines of both families share: a release
// under way, from its guards to its promotion.
//
// Its promise: what was audited is what was released; a step may be killed at
// any instant and run again; and nothing is promoted that did not pass its
// audit and its end-to-end test.
package steps

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Lane is one release under way.
type Lane struct {
	Tag      release.Tag
	Env      *environment.Environment
	Checkout *environment.Checkout
	Ledger   *pipeline.Ledger
	Console  *console.Console
	GitHub   *github.Client
}

// Open prepares the release of a tag: the repository's state, GitHub, and the
// ledger, which is locked until Close.
func Open(ctx context.Context, env *environment.Environment, tag release.Tag, c *console.Console) (*Lane, error) {
	checkout, err := env.Checkout(ctx, tag)
	if err != nil {
		return nil, err
	}
	client, err := env.GitHub()
	if err != nil {
		return nil, err
	}
	l := &Lane{Tag: tag, Env: env, Checkout: checkout, Console: c, GitHub: client}
	if err := errors.Join(os.MkdirAll(l.Assets(), 0o755), os.MkdirAll(l.Work(), 0o755)); err != nil {
		return nil, err
	}
	l.Ledger, err = pipeline.OpenLedger(Dir(env.Dist, tag), tag.String(), checkout.Commit, time.Now)
	return l, err
}

// Close releases the ledger.
func (l *Lane) Close() error { return l.Ledger.Close() }

// Dir is where a release is staged and its ledger lies.
func Dir(dist string, tag release.Tag) string { return filepath.Join(dist, tag.String()) }

// Assets is the folder of what will be uploaded, under its final names.
func (l *Lane) Assets() string { return filepath.Join(Dir(l.Env.Dist, l.Tag), "assets") }

// Work is the folder of everything else.
func (l *Lane) Work(elem ...string) string {
	return filepath.Join(append([]string{Dir(l.Env.Dist, l.Tag), "work"}, elem...)...)
}

// SourceURL is the repository's page.
func (l *Lane) SourceURL() string { return "https://github.com/" + l.Env.Config.Repository }

// Counterpart is the release of the other family that its version variable names.
func (l *Lane) Counterpart() (release.Tag, error) {
	family := l.Tag.Family.Counterpart()
	v, err := release.ParseVersion(l.Env.Config.Version(family))
	return release.Tag{Family: family, Version: v}, err
}

// step is the name of one of this family's steps, which is its Mage target.
func (l *Lane) step(name string) string { return l.Tag.Family.Short() + ":" + name }
