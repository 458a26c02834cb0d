package guard

import (
	"regexp"
	"slices"
	"strings"

	"github.com/rhysd/actionlint"
)

// unknown stands for what only GitHub knows when the workflow runs.
const unknown = "\uF8FF"

// What guard 4 follows of computed text; more than that it does not clear.
const (
	maxTexts   = 512 // that one text can become
	maxNesting = 6   // of values that are computed from values
)

// values are what the contexts of a file may hold, as raw text, by the name in
// lower case: matrix.x, inputs.x, env.x, outputs.x. They are collected over the
// whole file, whichever job they belong to: too many, never too few.
type values map[string][]string

func (v values) add(key string, texts ...string) {
	key = strings.ToLower(key)
	for _, t := range texts {
		if !slices.Contains(v[key], t) {
			v[key] = append(v[key], t)
		}
	}
}

func (v values) addString(key string, s *actionlint.String) {
	if s != nil {
		v.add(key, s.Value)
	}
}

// valuesOf collects what the workflow itself says.
func valuesOf(w *actionlint.Workflow) values {
	v := values{}
	v.env(w.Env)
	for _, e := range w.On {
		v.event(e)
	}
	for _, job := range w.Jobs {
		v.job(job)
	}
	return v
}

func (v values) event(e actionlint.Event) {
	switch e := e.(type) {
	case *actionlint.WorkflowCallEvent:
		for _, in := range e.Inputs {
			v.addString("inputs."+in.ID, in.Default)
		}
	case *actionlint.WorkflowDispatchEvent: // a person may type anything
		for name, in := range e.Inputs {
			v.add("inputs."+name, unknown)
			v.addString("inputs."+name, in.Default)
			for _, option := range in.Options {
				v.addString("inputs."+name, option)
			}
		}
	}
}

func (v values) job(job *actionlint.Job) {
	v.env(job.Env)
	if job.Container != nil {
		v.env(job.Container.Env)
	}
	if job.Services != nil {
		for _, s := range job.Services.Value {
			if s.Container != nil {
				v.env(s.Container.Env)
			}
		}
	}
	if job.Strategy != nil && job.Strategy.Matrix != nil {
		v.matrix(job.Strategy.Matrix)
	}
	for name, out := range job.Outputs {
		v.addString("outputs."+name, out.Value)
	}
	for _, step := range job.Steps {
		v.env(step.Env)
		if run, ok := step.Exec.(*actionlint.ExecRun); ok && run.Run != nil {
			v.script(run.Run.Value)
		}
	}
}

func (v values) env(e *actionlint.Env) {
	if e == nil {
		return
	}
	for _, x := range e.Vars {
		v.addString("env."+x.Name.Value, x.Value)
	}
}

func (v values) matrix(m *actionlint.Matrix) {
	for name, row := range m.Rows {
		v.addString("matrix."+name, row.Expression)
		for _, value := range row.Values {
			v.raw("matrix."+name, value)
		}
	}
	if m.Include == nil {
		return
	}
	for _, c := range m.Include.Combinations {
		for name, assign := range c.Assigns {
			v.raw("matrix."+name, assign.Value)
		}
	}
}

// raw adds a value of any shape; the fields of an object have names of their own.
func (v values) raw(key string, value actionlint.RawYAMLValue) {
	switch value := value.(type) {
	case *actionlint.RawYAMLString:
		v.add(key, value.Value)
	case *actionlint.RawYAMLArray:
		for _, e := range value.Elems {
			v.raw(key, e)
		}
	case *actionlint.RawYAMLObject:
		for name, field := range value.Props {
			v.raw(key+"."+name, field)
		}
	}
}

// In a statement without quotes: NAME=value, and for NAME in value value.
var (
	assigned = regexp.MustCompile(`(?:^|[\s;&|(])([A-Za-z_][A-Za-z0-9_]*)\+?=([^\s;&|()<>]*)`)
	looped   = regexp.MustCompile(`(?:^|[\s;&|(])for\s+([A-Za-z_][A-Za-z0-9_]*)\s+in\s+([^;]*)`)
)

// script adds what a script assigns, to its own variables, to GITHUB_ENV and to GITHUB_OUTPUT alike.
func (v values) script(text string) {
	code, tokens := tokenize(text)
	for _, s := range statements(code) {
		for _, m := range assigned.FindAllStringSubmatch(s.text, -1) {
			v.add("env."+m[1], tokens.restore(m[2]))
		}
		for _, m := range looped.FindAllStringSubmatch(s.text, -1) {
			for word := range strings.FieldsSeq(m[2]) {
				v.add("env."+m[1], tokens.restore(word))
			}
		}
	}
}
