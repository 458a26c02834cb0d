// Package build makes node images: it compiles the agent and the program that
// predicts registers, fetches the
// programs beside it by their pins, and has Packer and Ansible do the rest.
//
// Its promise: an image's content id follows from everything that decides it;
// an image that exists is never overwritten; and what an interrupted build left
// is found by the build's own names and labels.
package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/node/packer"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Options is where images are made and of what. All fields are required but
// TDXRoot, Family, SSHPort and Find.
type Options struct {
	Root          string // of the repository
	Project, Zone string
	Family        string              // image family of what is made
	TDXRoot       string              // digest in hex of the TDX root that agents believe; empty means Intel's
	SSHPort       func() (int, error) // of build VMs; nil means 22
	Cloud         func(ctx context.Context, j journal.Journal) (*gce.Client, error)
	Fetch         Fetcher
	Pins          func(names []string) ([]packer.Pin, error)
	Env           func() ([]string, error)                      // NAME=value for Packer: credentials and the way out
	Log           func(line string)                             // what is compiled, once
	Find          func(program string) (path string, err error) // nil means exec.LookPath
}

// Builder is an nodeimage.Images.
type Builder struct {
	o        Options
	sources  func() (*sources, error)
	programs func() (*programs, error)
	packer   func() (*packer.Packer, error)
}

var _ image.Images = (*Builder)(nil)

// New prepares nothing yet: programs are fetched and compiled when they are first asked for.
func New(ctx context.Context, o Options) *Builder {
	b := &Builder{o: o}
	b.sources = sync.OnceValues(func() (*sources, error) { return b.compile(ctx) })
	b.programs = sync.OnceValues(func() (*programs, error) { return b.prepare(ctx) })
	b.packer = sync.OnceValues(func() (*packer.Packer, error) { return packer.Prepare(ctx, o.Root, o.Log) })
	return b
}

// Content is the content id of a profile's image. Its companions count by their pins, so that nothing is fetched: a
// promotion, which looks whether a build would still be the same, needs nobody else's server.
func (b *Builder) Content(_ context.Context, p release.Profile) (string, error) {
	s, err := b.sources()
	if err != nil {
		return "", err
	}
	return packer.Inputs{Root: b.o.Root, Profile: p, Agent: s.agent.SHA256, Predictor: s.predictor.SHA256,
		Companions: s.pins, TDXRoot: b.o.TDXRoot}.ContentID()
}

// Programs is the folder of the agent and all companions, by name.
func (b *Builder) Programs(context.Context, release.Profile) (string, error) {
	s, err := b.programs()
	if err != nil {
		return "", err
	}
	return s.dir, nil
}

// lifetime is after how long nothing needs a build's VM any more.
const lifetime = 90 * time.Minute

// Build runs Packer and reads the record that its post-processor left.
func (b *Builder) Build(ctx context.Context, o image.BuildRequest) (*image.Record, error) {
	if err := b.ready(); err != nil {
		return nil, err
	}
	if err := b.ask(ctx, o); err != nil {
		return nil, err
	}
	order, err := b.order(o)
	if err != nil {
		return nil, err
	}
	p, err := b.packer()
	if err != nil {
		return nil, err
	}
	if err := o.Journal.Begin(journal.Image, o.Name); err != nil {
		return nil, err
	}
	if err := o.Journal.Begin(journal.VM, order.InstanceName); err != nil {
		return nil, err
	}
	path, err := logged(ctx, p, order)
	if err != nil {
		return nil, errors.Join(err, b.Discard(context.WithoutCancel(ctx), o, true))
	}
	if err := o.Journal.End(journal.VM, order.InstanceName, nil); err != nil {
		return nil, err
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return image.Decode(data)
}

// logged runs Packer with its whole log in a file, which an error names.
func logged(ctx context.Context, p *packer.Packer, order *packer.BuildRequest) (string, error) {
	if err := os.MkdirAll(order.Output, 0o755); err != nil {
		return "", err
	}
	name := filepath.Join(order.Output, "packer.log")
	file, err := os.Create(name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	log := &buildLog{file: file, say: order.Log}
	order.Log = log.line
	path, err := p.Build(ctx, *order)
	var f *fault.Error
	if errors.As(err, &f) {
		f.Hint = strings.TrimPrefix(f.Hint+"; the whole log is in "+console.Path(name), "; ")
	}
	return path, err
}

// order is what Packer is told.
func (b *Builder) order(o image.BuildRequest) (*packer.BuildRequest, error) {
	s, err := b.programs()
	if err != nil {
		return nil, err
	}
	env, err := b.o.Env()
	if err != nil {
		return nil, err
	}
	port := 0
	if b.o.SSHPort != nil {
		if port, err = b.o.SSHPort(); err != nil {
			return nil, err
		}
	}
	return &packer.BuildRequest{Profile: o.Profile, Version: o.Tag.Version, Commit: o.Commit, ContentID: o.Content,
		Project: b.o.Project, Zone: b.o.Zone, ImageFamily: b.family(o.Profile), InstanceName: instanceName(o), SSHPort: port,
		Labels: map[string]string{gce.LabelOwner: gce.Owner, gce.LabelRun: runLabel(o),
			gce.LabelExpires: fmt.Sprint(time.Now().Add(lifetime).Unix())},
		Agent: s.agent, AgentBinary: s.path(s.agent.Name), Predictor: s.predictor, PredictorBinary: s.path(s.predictor.Name),
		Companions: s.companions, CompanionsDir: s.dir,
		TDXRoot: b.o.TDXRoot, Output: o.Work, Env: env, Log: o.Log}, nil
}

func (b *Builder) family(p release.Profile) string {
	if b.o.Family == "" {
		return ""
	}
	return b.o.Family + "-" + string(p)
}

// instanceName is the same whenever the build is begun again.
func instanceName(o image.BuildRequest) string {
	return fmt.Sprintf(gce.BuilderPrefix+"%s-%s", o.Profile, o.Name[len(o.Name)-8:])
}

func runLabel(o image.BuildRequest) string {
	return gce.RunLabel(o.Tag.String(), "build", string(o.Profile))
}

// needs are the programs of this machine that Packer starts, and Debian's packages of them.
var needs = []struct{ program, pkg string }{{"ansible-playbook", "ansible-core"}, {"ssh", "openssh-client"}}

// ready names what is missing, before a VM is started for nothing.
func (b *Builder) ready() error {
	find := b.o.Find
	if find == nil {
		find = exec.LookPath
	}
	var missing, packages []string
	for _, n := range needs {
		if _, err := find(n.program); err != nil {
			missing, packages = append(missing, n.program), append(packages, n.pkg)
		}
	}
	if missing == nil {
		return nil
	}
	return &fault.Error{Code: fault.General, Message: "Packer needs programs that are not installed",
		Expected: "ansible-playbook and ssh",
		Got:      "no " + strings.Join(missing, ", no "), Hint: "apt-get install " + strings.Join(packages, " ") +
			"; `go tool mage doctor -family=node` names all that a node release needs"}
}

// buildLog keeps everything that Packer says in a file and passes on what a
// person who waits wants to see: the headlines of Packer and of Ansible.
type buildLog struct {
	mu   sync.Mutex
	file io.Writer
	say  func(string)
}

func (l *buildLog) line(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, _ = fmt.Fprintln(l.file, text) // a log
	if head := headline(text); head != "" {
		l.say(head)
	}
}

const builderName = "googlecompute.node: "

// headline is what is worth a line on the console, "" for the rest.
func headline(line string) string {
	line = strings.TrimSpace(line)
	if rest, ok := strings.CutPrefix(line, "==> "+builderName); ok {
		return rest
	}
	line = strings.TrimPrefix(line, builderName)
	if task, ok := strings.CutPrefix(line, "TASK ["); ok {
		name, _, _ := strings.Cut(task, "]")
		return "Ansible: " + name
	}
	if strings.HasPrefix(line, "fatal: ") {
		return line
	}
	return ""
}
