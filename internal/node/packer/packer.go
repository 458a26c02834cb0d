// Package packer runs Packer: it builds it and its plugins from pinned
// sources, reads the variables of a profile, and makes one image.
//
// Its promise: Packer runs with exactly the pinned plugins and with no network
// but the cloud's; an image that exists is never overwritten; what Packer says
// comes line by line; and when the caller stops, Packer is asked to remove
// what it made before it ends.
package packer

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
)

// Versions of the plugins that node.pkr.hcl requires; Packer refuses any other.
const (
	GoogleComputeVersion = "1.2.5"
	AnsibleVersion       = "1.0.3"
	pluginVersion        = "0.1.0" // of packer/packer-plugin-nodeimage
)

// Packer is the program and its plugins, ready to run in the repository at root.
type Packer struct {
	root    string
	program string
	plugins string // PACKER_PLUGIN_PATH
}

// Prepare compiles what is not in the user's cache yet and says so through log.
func Prepare(ctx context.Context, root string, log func(string)) (*Packer, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	p := &Packer{root: root, plugins: filepath.Join(cache, "mero-tee", "packer-plugins")}
	module := filepath.Join(root, "tools", "packer")
	source, err := slim(ctx, module, filepath.Join(cache, "mero-tee"))
	if err != nil {
		return nil, &fault.Error{Code: fault.General, Message: "the sources of Packer cannot be prepared", Err: err,
			Hint: "Go downloads pinned modules on first use: check `go env GOPROXY` and the network"}
	}
	var g errgroup.Group
	g.Go(func() (err error) {
		p.program, err = gobuild.Build(ctx, gobuild.Spec{Name: "packer", Module: source, Package: ".", LDFlags: "-s -w"}, log)
		return err
	})
	for _, spec := range pluginSpecs(module) {
		g.Go(func() error { return p.install(ctx, spec, log) })
	}
	g.Go(func() error { return p.installOwn(ctx) })
	return p, g.Wait()
}

// plugin is one that is compiled from the module that pins it.
type plugin struct {
	gobuild.Spec
	source  string // as node.pkr.hcl names it
	version string
}

func pluginSpecs(module string) []plugin {
	// Ansible's plugin calls itself 1.0.3-dev otherwise.
	const released = " -X github.com/hashicorp/packer-plugin-ansible/version.VersionPrerelease="
	return []plugin{
		{gobuild.Spec{Name: "packer-plugin-googlecompute", Module: module, LDFlags: "-s -w",
			Package: "github.com/hashicorp/packer-plugin-googlecompute"}, "github.com/hashicorp/googlecompute",
			GoogleComputeVersion},
		{gobuild.Spec{Name: "packer-plugin-ansible", Module: module, LDFlags: "-s -w" + released,
			Package: "github.com/hashicorp/packer-plugin-ansible"}, "github.com/hashicorp/ansible", AnsibleVersion},
	}
}

func (p *Packer) install(ctx context.Context, s plugin, log func(string)) error {
	program, err := gobuild.Build(ctx, s.Spec, log)
	if err != nil {
		return err
	}
	return p.place(program, s.source, s.version)
}

// installOwn compiles this repository's plugin each time: Go's build cache knows what changed.
func (p *Packer) installOwn(ctx context.Context) error {
	dir, remove, err := file.Temp("plugin")
	if err != nil {
		return err
	}
	defer remove()
	program, err := gobuild.Compile(ctx, gobuild.Program{Module: p.root, Package: "./packer/packer-plugin-nodeimage",
		Name: "packer-plugin-nodeimage", GOARCH: runtime.GOARCH, OutDir: dir})
	if err != nil {
		return err
	}
	return p.place(program, "github.com/calimero-network/nodeimage", pluginVersion)
}

func pluginFile(source, version string) string {
	return fmt.Sprintf("packer-plugin-%s_v%s_x5.0_%s_%s", filepath.Base(source), version, runtime.GOOS, runtime.GOARCH)
}

// place puts a plugin where Packer looks for it, its checksum beside it, in
// the layout that `packer init` would make.
func (p *Packer) place(program, source, version string) error {
	path := filepath.Join(p.plugins, filepath.FromSlash(source), pluginFile(source, version))
	sum, _, err := digest.OfFile(program)
	if err != nil {
		return err
	}
	if installed, _, err := digest.OfFile(path); err != nil || installed != sum {
		if err := file.Copy(path, program, 0o755); err != nil {
			return err
		}
	}
	return file.Write(path+"_SHA256SUM", []byte(sum.Hex()), 0o644)
}

const defaultDeadline = 30 * time.Minute

// Build makes the image and returns the path of its record. Packer refuses a
// name that an image has already. Paths in the order are made absolute.
func (p *Packer) Build(ctx context.Context, o BuildRequest) (record string, err error) {
	if err := o.absolute(); err != nil {
		return "", err
	}
	record = filepath.Join(o.Output, "record.json")
	if err := os.Remove(record); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	file, err := p.prepare(o)
	if err != nil {
		return "", err
	}
	deadline := o.Deadline
	if deadline == 0 {
		deadline = defaultDeadline
	}
	ctx, cancel := context.WithTimeoutCause(ctx, deadline, fmt.Errorf("not done in %s", deadline))
	defer cancel()
	args := append([]string{"build", "-color=false", "-timestamp-ui=false"}, p.varFiles(o.Profile, file)...)
	if err := p.run(ctx, command{args: append(args, p.template()), env: o.Env, log: o.Log, name: o.Output}); err != nil {
		return "", &fault.Error{Code: fault.General, Message: "packer build of " + string(o.Profile), Err: err,
			Hint: gce.Advice(err.Error())}
	}
	if _, err := os.Stat(record); err != nil {
		return "", &fault.Error{Code: fault.MissingAsset, Message: "packer build of " + string(o.Profile) + " left no record",
			Err: err}
	}
	return record, nil
}

func (o *BuildRequest) absolute() (err error) {
	for _, path := range []*string{&o.Output, &o.AgentBinary, &o.PredictorBinary, &o.CompanionsDir} {
		if *path, err = filepath.Abs(*path); err != nil {
			return err
		}
	}
	return os.MkdirAll(o.Output, 0o755)
}

func (p *Packer) template() string { return filepath.Join(p.root, "packer") }
