package workflow_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rhysd/actionlint"
	"github.com/stretchr/testify/require"
)

const folder = "../../../.github/workflows"

// file is one workflow, and what it found wrong with it.
type file struct {
	name     string
	lines    []string
	flow     *actionlint.Workflow
	targets  map[string]target
	findings []string
}

func (f *file) find(pos *actionlint.Pos, format string, args ...any) {
	line := 0
	if pos != nil {
		line = pos.Line
	}
	f.findings = append(f.findings, fmt.Sprintf("%s:%d: ", f.name, line)+fmt.Sprintf(format, args...))
}

// sources reads every workflow of this repository.
func sources(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	require.NoError(t, err)
	out := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(folder, e.Name()))
		require.NoError(t, err)
		out[e.Name()] = string(data)
	}
	return out
}

// judge applies every rule to one workflow.
func judge(t *testing.T, name, source string) []string {
	t.Helper()
	flow, errs := actionlint.Parse([]byte(source))
	require.Empty(t, errs, name)
	f := &file{name: name, lines: strings.Split(source, "\n"), flow: flow, targets: targets(t)}
	for _, rule := range []func(*file){triggers, concurrency, permissions, actions, runs, calls, given, handed, approval,
		diagnosed} {
		rule(f)
	}
	return f.findings
}

// jobs lists the jobs by name.
func (f *file) jobs() []*actionlint.Job {
	var out []*actionlint.Job
	for _, id := range slices.Sorted(maps.Keys(f.flow.Jobs)) {
		out = append(out, f.flow.Jobs[id])
	}
	return out
}

// each calls do with every step that runs a script.
func each(job *actionlint.Job, do func(*actionlint.Step, *actionlint.ExecRun)) {
	for _, s := range job.Steps {
		if run, ok := s.Exec.(*actionlint.ExecRun); ok {
			do(s, run)
		}
	}
}

// uses calls do with every step that is an action.
func uses(job *actionlint.Job, do func(*actionlint.Step, *actionlint.ExecAction)) {
	for _, s := range job.Steps {
		if action, ok := s.Exec.(*actionlint.ExecAction); ok {
			do(s, action)
		}
	}
}

// mageCall is how a script starts Mage, which is the rest of the line.
var mageCall = regexp.MustCompile(`^(?:go tool mage|"\$RUNNER_TEMP/mage") (.+)$`)

// called are the words after Mage in a script that is one call of it; nil when it is none.
func called(script string) []string {
	m := mageCall.FindStringSubmatch(strings.TrimSpace(script))
	if m == nil || strings.HasPrefix(m[1], "-compile ") {
		return nil
	}
	return strings.Fields(m[1])
}

// named are the targets among the words, in lower case; what a target takes is skipped.
func (f *file) named(words []string) (out, unknown []string) {
	for i := 0; i < len(words); {
		name := strings.ToLower(words[i])
		t, ok := f.targets[name]
		if !ok {
			return out, append(unknown, words[i])
		}
		out = append(out, name)
		rest := words[i+1:]
		if len(rest) < t.arguments {
			return out, append(unknown, name+" without its arguments")
		}
		i += 1 + t.arguments
		for i < len(words) && strings.HasPrefix(words[i], "-") {
			flag, _, _ := strings.Cut(strings.TrimLeft(words[i], "-"), "=")
			if !slices.Contains(t.flags, strings.ToLower(flag)) {
				unknown = append(unknown, words[i])
			}
			i++
		}
	}
	return out, unknown
}

// performed lists what a job's calls perform.
func (f *file) performed(job *actionlint.Job) []string {
	var out []string
	each(job, func(_ *actionlint.Step, run *actionlint.ExecRun) {
		names, _ := f.named(called(run.Run.Value))
		for _, name := range names {
			out = append(out, performs(f.targets, name)...)
		}
	})
	return out
}

// before is what the jobs that a job waits for perform.
func (f *file) before(job *actionlint.Job) []string {
	var out []string
	for _, need := range job.Needs {
		if earlier := f.flow.Jobs[need.Value]; earlier != nil {
			out = append(out, append(f.before(earlier), f.performed(earlier)...)...)
		}
	}
	return out
}

// own is what is left for a job to do.
func (f *file) own(job *actionlint.Job) []string {
	earlier := f.before(job)
	return slices.DeleteFunc(f.performed(job), func(s string) bool { return slices.Contains(earlier, s) })
}

func has(steps []string, ends ...string) bool {
	return slices.ContainsFunc(steps, func(s string) bool {
		return slices.ContainsFunc(ends, func(end string) bool { return strings.HasSuffix(s, end) })
	})
}
