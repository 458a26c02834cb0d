package door

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/config"
	"github.com/calimero-network/mero-tee/internal/console"
	"github.com/calimero-network/mero-tee/internal/environment"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/release"
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
func configuration(tag string) (*config.Config, error) {
	cfg, err := config.Load(os.LookupEnv)
	if err != nil || cfg.Environment != config.Rehearsal {
		return cfg, err
	}
	version := release.Version{Minor: 1} // what a rehearsal releases when nobody says otherwise
	if t, err := release.ParseTag(tag); err == nil && t.Family == release.KMS {
		version = t.Version
	}
	cfg.KMSVersion = cmp.Or(cfg.KMSVersion, version.String())
	cfg.TEEVersion = cmp.Or(cfg.TEEVersion, version.Final().String())
	return cfg, nil
}

// environmentOf opens the environment that the configuration names. This is
// the one place that tells the two apart.
func environmentOf(ctx context.Context, p place, cfg *config.Config, c *console.Console) (*environment.Environment, io.Closer, error) {
	if cfg.Environment == config.Production {
		env, err := environment.Production(p.root, p.dist, cfg)
		return env, io.NopCloser(nil), err
	}
	world, err := rehearsal.Open(ctx, p.root, p.dist, cfg, c)
	if err != nil {
		return nil, nil, err
	}
	c.Infof("rehearsal: outside systems are answered on loopback and kept in %s; nothing leaves this machine", console.Path(world.State))
	return world.Env, world, nil
}

// tagOf is the tag to release: the flag's, the workflow's, or that of MERO_KMS_VERSION.
func tagOf(flag string, cfg *config.Config) (release.Tag, error) {
	name := flag
	if name == "" && cfg.Actions {
		name = cfg.RefName
	}
	if name == "" {
		name = string(release.KMS) + "-v" + cfg.KMSVersion
	}
	return kmsTag(name)
}

func kmsTag(name string) (release.Tag, error) {
	tag, err := release.ParseTag(name)
	if err == nil && tag.Family != release.KMS {
		err = &fault.Error{Code: fault.Usage, Message: "not a tag of the key service", Expected: "mero-kms-vX.Y.Z", Got: name}
	}
	return tag, err
}
