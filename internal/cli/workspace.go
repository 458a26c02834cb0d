package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
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

// workspace is where a command runs and how it is configured.
type workspace struct {
	root string // of the repository
	dist string // where releases are staged; MERO_DIST moves it, for tests that run side by side
	cfg  *config.Config

	entries []config.Entry // what became of each variable that cfg was read from
	moved   []config.Moved // variables that are not what they were when the release was judged
	person  bool           // who works here is no workflow's job
}

// locate finds the repository around the working directory.
func locate() (*workspace, error) {
	dir, err := os.Getwd()
	if err != nil {
		return nil, err
	}
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "magefiles")); err == nil {
			return &workspace{root: at, dist: cmp.Or(os.Getenv("MERO_DIST"), filepath.Join(at, "dist"))}, nil
		}
		if at == filepath.Dir(at) {
			return nil, &fault.Error{Code: fault.Usage, Message: "not inside the repository", Got: dir}
		}
	}
}

// configure is locate, and reads the variables.
func configure() (*workspace, error) {
	w, err := locate()
	if err != nil {
		return nil, err
	}
	w.cfg, err = config.Load(os.LookupEnv)
	return w, err
}

// openWorkspace is configure, and the release of the family that the command
// is about. Without a family the tag decides. What this release's guards judged
// counts more than what the variables hold by now: "what was judged stays judged".
// Its ledger lies in dist, or still in the folders of the jobs before.
func openWorkspace(f release.Family, flag string, jobs ...string) (*workspace, release.Tag, error) {
	w, err := locate()
	if err != nil {
		return nil, release.Tag{}, err
	}
	w.cfg, w.entries = config.Inspect(os.LookupEnv)
	if err := w.oneRelease(os.Args[1:]); err != nil {
		return nil, release.Tag{}, err
	}
	tag, err := w.tag(f, flag)
	if err == nil {
		err = w.recall(tag, append([]string{steps.Dir(w.dist, tag)}, jobs...)...)
	}
	return w, tag, cmp.Or(config.Fault(w.entries), err)
}

// recall takes what the guards of a tag judged, as the first of the folders with
// a ledger knows it, in the place of what the variables hold now.
func (w *workspace) recall(tag release.Tag, dirs ...string) error {
	var judged config.Judged
	for _, dir := range dirs {
		var err error
		if judged, err = steps.Judged(dir, tag); err != nil {
			return err
		}
		if judged != nil {
			break
		}
	}
	moved, err := w.cfg.Adopt(judged, w.entries)
	for _, m := range moved {
		if m.Set || w.cfg.Environment != config.Rehearsal { // which brings along what is not set
			w.moved = append(w.moved, m)
		}
	}
	return err
}

// tellMoved warns of the variables that are not what they were.
func (w *workspace) tellMoved(c *console.Console) {
	for _, m := range w.moved {
		c.Warnf("%s", m)
	}
	if len(w.moved) > 0 && w.cfg.Actions {
		c.Infof("a variable that is set in a GitHub environment reaches the jobs of that environment alone: " +
			"set it for the repository")
	}
}

// tag is the flag's, the release workflow's, or that of the family's version
// variable, by default the key service's.
func (w *workspace) tag(f release.Family, flag string) (release.Tag, error) {
	name := flag
	if name == "" && w.cfg.Actions && w.cfg.Environment == config.Production {
		name = w.cfg.RefName
	}
	if name == "" {
		f = cmp.Or(f, release.KMS)
		w.rehearse(release.Tag{Family: f})
		return w.cfg.Current(f)
	}
	tag, err := parseTag(f, name)
	if err == nil {
		w.rehearse(tag)
	}
	return tag, err
}

// rehearse lets the repository's version variables follow the tag in a
// rehearsal, unless they are set. The tag's version may not be known.
func (w *workspace) rehearse(tag release.Tag) {
	if w.cfg.Environment == config.Rehearsal {
		tag.Version = cmp.Or(tag.Version, w.cfg.Version(tag.Family))
		kms, node := rehearsal.Versions(w.dist, tag)
		w.cfg.KMSVersion, w.cfg.TEEVersion = cmp.Or(w.cfg.KMSVersion, kms), cmp.Or(w.cfg.TEEVersion, node)
	}
}

// parseTag reads the tag of a release of the family, which may be empty.
func parseTag(f release.Family, name string) (release.Tag, error) {
	tag, err := release.ParseTag(name)
	if err == nil && f != "" && tag.Family != f {
		err = &fault.Error{Code: fault.Usage, Message: "not a tag of " + f.Title(),
			Expected: string(f) + "-vX.Y.Z", Got: name}
	}
	return tag, err
}

// environment opens the environment that the configuration names. This is the
// one place that tells the two apart.
func (w *workspace) environment(ctx context.Context, c *console.Console) (*environment.Environment, io.Closer, error) {
	if w.cfg.Environment == config.Production {
		env, err := environment.Production(w.root, w.dist, w.cfg, func(line string) { c.Infof("%s", line) })
		return env, io.NopCloser(nil), err
	}
	world, err := rehearsal.Open(ctx, w.root, w.dist, w.cfg, c)
	if err != nil {
		return nil, nil, err
	}
	if w.person {
		world.AskAsOwner()
	}
	c.Infof("rehearsal: outside systems are answered on loopback and kept in %s; nothing leaves this machine",
		console.Path(world.State))
	return world.Env, world, nil
}

// catalogPath is where COMPATIBILITY_CATALOG_PATH says.
func (w *workspace) catalogPath() string {
	return filepath.Join(w.root, w.cfg.CatalogPath)
}

// openPipeline opens the release of a tag and gives its steps.
func openPipeline(ctx context.Context, env *environment.Environment, tag release.Tag, c *console.Console) (
	*steps.Release, pipeline.Graph, error,
) {
	if tag.Family == release.Node {
		p, err := noderelease.Open(ctx, env, tag, c)
		if err != nil {
			return nil, nil, err
		}
		return p.Release, p.Graph(), nil
	}
	p, err := kmsrelease.Open(ctx, env, tag, c)
	if err != nil {
		return nil, nil, err
	}
	return p.Release, p.Graph(), nil
}

// planOf is the graph of a family's releases, to be looked at.
func planOf(f release.Family) pipeline.Graph {
	if f == release.Node {
		return noderelease.Plan()
	}
	return kmsrelease.Plan()
}

// readJSON reads a file that somebody names, of bounded size.
func readJSON(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "cannot read the file", Err: err}
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, canonical.MaxSize+1))
	if err != nil {
		err = &fault.Error{Code: fault.Usage, Message: "cannot read the file", Err: err} // a folder, for example
	}
	if err == nil && len(data) > canonical.MaxSize {
		err = &fault.Error{Code: fault.Usage, Message: path + " is too large to be one of our files"}
	}
	return data, err
}
