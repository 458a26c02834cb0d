package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/environment"
	"github.com/calimero-network/mero-tee/internal/pipeline/kmsrelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/noderelease"
	"github.com/calimero-network/mero-tee/internal/pipeline/steps"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// place is where a command runs: the repository, and where it stages releases.
type place struct{ root, dist string }

// here finds the repository around the working directory. MERO_DIST moves
// dist/ elsewhere, for tests that run side by side.
func here() (place, error) {
	dir, err := os.Getwd()
	if err != nil {
		return place{}, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "magefiles")); err == nil {
			dist := os.Getenv("MERO_DIST")
			if dist == "" {
				dist = filepath.Join(at, "dist")
			}
			return place{root: at, dist: dist}, nil
		}
		if at == filepath.Dir(at) {
			return place{}, &fault.Error{Code: fault.Usage, Message: "not inside the repository", Got: dir}
		}
	}
}

// configuration reads the variables. In a rehearsal the repository's version
// variables follow the tag that is asked for, unless they are set.
func configuration(p place, f release.Family, flag string) (*config.Config, error) {
	cfg, err := config.Load(os.LookupEnv)
	if err != nil || cfg.Environment != config.Rehearsal {
		return cfg, err
	}
	tag, err := release.ParseTag(flag)
	if err != nil || tag.Family != f {
		tag = release.Tag{Family: f, Version: cfg.Version(f)} // the tag itself is judged by tagOf
	}
	kms, tee := rehearsal.Versions(p.dist, tag)
	cfg.KMSVersion = cmp.Or(cfg.KMSVersion, kms)
	cfg.TEEVersion = cmp.Or(cfg.TEEVersion, tee)
	return cfg, nil
}

// asked is where the command runs, how it is configured, and which release of
// the family it is about.
func asked(f release.Family, flag string) (p place, cfg *config.Config, tag release.Tag, err error) {
	if p, err = here(); err != nil {
		return p, nil, tag, err
	}
	if cfg, err = configuration(p, f, flag); err != nil {
		return p, nil, tag, err
	}
	tag, err = tagOf(f, flag, cfg)
	return p, cfg, tag, err
}

// environmentOf opens the environment that the configuration names. This is
// the one place that tells the two apart.
func environmentOf(ctx context.Context, p place, cfg *config.Config, c *console.Console) (*environment.Environment, io.Closer, error) {
	if cfg.Environment == config.Production {
		env, err := environment.Production(p.root, p.dist, cfg, func(line string) { c.Infof("%s", line) })
		return env, io.NopCloser(nil), err
	}
	world, err := rehearsal.Open(ctx, p.root, p.dist, cfg, c)
	if err != nil {
		return nil, nil, err
	}
	c.Infof("rehearsal: outside systems are answered on loopback and kept in %s; nothing leaves this machine", console.Path(world.State))
	return world.Env, world, nil
}

// tagOf is the tag to release: the flag's, the workflow's, or that of the family's version variable.
func tagOf(f release.Family, flag string, cfg *config.Config) (release.Tag, error) {
	name := flag
	if name == "" && cfg.Actions {
		name = cfg.RefName
	}
	if name == "" {
		return cfg.Current(f)
	}
	return tagIn(f, name)
}

// kmsTag reads the tag of a key service release.
func kmsTag(name string) (release.Tag, error) { return tagIn(release.KMS, name) }

func tagIn(f release.Family, name string) (release.Tag, error) {
	tag, err := release.ParseTag(name)
	if err == nil && tag.Family != f {
		err = &fault.Error{Code: fault.Usage, Message: "not a tag of " + f.Title(), Expected: string(f) + "-vX.Y.Z", Got: name}
	}
	return tag, err
}

// familyOf is the family that a target releases: its namespace says so, or, for
// a target that serves both, the tag.
func familyOf(target, tag string) release.Family {
	if strings.HasPrefix(target, "node:") || target == "release:node" || target == "release:nodePrerelease" {
		return release.Node
	}
	if t, err := release.ParseTag(tag); err == nil && !strings.HasPrefix(target, "kms:") && target != "release:kms" {
		return t.Family
	}
	return release.KMS
}

// openRelease opens the release of a tag and gives its steps.
func openRelease(ctx context.Context, env *environment.Environment, tag release.Tag, c *console.Console) (*steps.Release, pipeline.Graph, error) {
	if tag.Family == release.Node {
		r, err := noderelease.Open(ctx, env, tag, c)
		if err != nil {
			return nil, nil, err
		}
		return r.Release, r.Graph(), nil
	}
	r, err := kmsrelease.Open(ctx, env, tag, c)
	if err != nil {
		return nil, nil, err
	}
	return r.Release, r.Graph(), nil
}

// planOf is the graph of a family's releases, to be looked at.
func planOf(f release.Family) pipeline.Graph {
	if f == release.Node {
		return noderelease.Plan()
	}
	return kmsrelease.Plan()
}
