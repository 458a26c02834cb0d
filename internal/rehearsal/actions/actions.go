// Package actions stands for GitHub Actions: it reads a repository's workflows
// and runs them job by job, as the service and its machines would.
//
// Its promise: a job has a fresh clone, the variables and secrets that the
// workflow gives it, a token with its own permissions, the artifacts that were
// uploaded before, and nothing else; what it cannot do as GitHub does, it
// refuses by name.
package actions

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/rhysd/actionlint"

	provider "github.com/calimero-network/mero-tee/internal/provider/git"
)

// Options say which repository this is and what was set up for it.
type Options struct {
	Repository string // owner/name
	Source     string // folder of the git repository that a push goes to
	Dir        string // for the runs; created when missing
	Actor      string // who pushes

	Vars, Secrets map[string]string
	Environments  map[string]Environment

	Machine Machine
	// Record is where the repository's GitHub keeps what its API shows of runs; nil: nobody asks it.
	Record Record
	// Token makes GITHUB_TOKEN of a job; it is known before the first step.
	Token func(*Job) string
	// Identity mints the identity token of a job with id-token: write.
	Identity func(ctx context.Context, c Claims, audience string) (string, error)
	// Log hears what the jobs print, line by line.
	Log func(line string)
}

// Record is what GitHub's API learns of runs.
type Record interface {
	// Started gives a run its id.
	Started(workflow, tag, commit, actor string) (id int, err error)
	RunAgain(id int, by string) error
	Reviewed(id int, environment, by string, approved bool) error
}

// Machine is what every hosted machine has.
type Machine struct {
	Home  func(dir string) error // puts into a new machine's home what is there from the start; nil: nothing
	Env   []string               // NAME=value, such as where Go keeps what it downloaded
	Path  string                 // comes before the rest of PATH
	Proxy string                 // "http://127.0.0.1:port": the network behind every job's own way out
}

// Environment is a deployment environment of the repository.
type Environment struct {
	Tags      []string // patterns of the tags that may deploy to it; none: all
	Reviewers []string // one of them has to approve; none: nobody
	// SelfReview lets who pushed the tag be that one.
	SelfReview bool
	// Approve waits for a reviewer's decision, and says whose it is; "" rejects.
	Approve func(ctx context.Context, r *Run) string
}

// Claims are who a job is, in its identity token.
type Claims struct{ Repository, Workflow, Ref, SHA string }

// Service is the repository's GitHub Actions.
type Service struct {
	o Options

	mu      sync.Mutex
	runs    int
	groups  map[string]*sync.Mutex // by concurrency group
	bearers map[string]*Job        // that may ask for their identity, by what they say
}

// New is the service of a repository.
func New(o Options) *Service {
	if o.Log == nil {
		o.Log = func(string) {}
	}
	return &Service{o: o, groups: map[string]*sync.Mutex{}, bearers: map[string]*Job{}}
}

// maxTags is how many tags of one push start workflows; of more, none does.
const maxTags = 3

// Push says which runs a push of these tags starts. The tags are in the
// repository already; each run is of the workflow that its tag's commit holds.
func (s *Service) Push(ctx context.Context, tags ...string) ([]*Run, error) {
	if len(tags) > maxTags {
		return nil, nil
	}
	var out []*Run
	for _, tag := range tags {
		files, err := s.git(ctx, "ls-tree", "--name-only", tag, ".github/workflows/")
		if err != nil {
			return nil, err
		}
		for _, file := range strings.Fields(files) {
			flow, err := s.workflow(ctx, tag, file)
			if err != nil {
				return nil, err
			}
			if !startedBy(flow, tag) {
				continue
			}
			r, err := s.newRun(ctx, flow, path.Base(file), tag)
			if err != nil {
				return nil, err
			}
			out = append(out, r)
		}
	}
	return out, nil
}

func (s *Service) workflow(ctx context.Context, commit, file string) (*actionlint.Workflow, error) {
	source, err := s.git(ctx, "show", commit+":"+file)
	if err != nil {
		return nil, err
	}
	flow, errs := actionlint.Parse([]byte(source))
	if len(errs) > 0 {
		return nil, fmt.Errorf("%s: %w", file, errs[0])
	}
	return flow, nil
}

// startedBy says whether a push of the tag starts the workflow. Without a filter every push does.
func startedBy(flow *actionlint.Workflow, tag string) bool {
	for _, event := range flow.On {
		hook, ok := event.(*actionlint.WebhookEvent)
		switch {
		case !ok || hook.EventName() != "push":
		case hook.Tags == nil:
			if hook.Branches == nil && hook.BranchesIgnore == nil && hook.TagsIgnore == nil {
				return true
			}
		default:
			if slices.ContainsFunc(hook.Tags.Values, func(p *actionlint.String) bool { return matches(p.Value, tag) }) {
				return true
			}
		}
	}
	return false
}

// matches: * is any number of characters but a slash.
func matches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

func (s *Service) git(ctx context.Context, args ...string) (string, error) {
	return git(ctx, s.o.Source, args...)
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = provider.Environment()
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, said.String())
	}
	return string(out), nil
}

// group is the lock of a concurrency group.
func (s *Service) group(name string) *sync.Mutex {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.groups[name] == nil {
		s.groups[name] = &sync.Mutex{}
	}
	return s.groups[name]
}

// lines hands what is written on, line by line.
type lines struct {
	mu   sync.Mutex
	rest []byte
	each func(string)
}

var _ io.WriteCloser = (*lines)(nil)

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, p...)
	for {
		at := slices.Index(l.rest, '\n')
		if at < 0 {
			return len(p), nil
		}
		l.each(string(l.rest[:at]))
		l.rest = l.rest[at+1:]
	}
}

func (l *lines) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.rest) > 0 {
		l.each(string(l.rest))
	}
	l.rest = nil
	return nil
}
