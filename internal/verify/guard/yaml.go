package guard

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// judgement is what guard 4 says of one file.
type judgement struct {
	file    File
	github  bool // a workflow or an action
	release bool // what it runs is part of a release, not of the image that is released
	found   []finding
	uses    []use
	left    int     // nodes that may still be visited
	halves  [2]bool // ALLOWED stands alone, and an expression is joined to _MRTD
}

func (j *judgement) add(line int, format string, args ...any) {
	j.note(finding{line, fmt.Sprintf(format, args...), false})
}

func (j *judgement) cannot(line int, format string, args ...any) {
	j.note(finding{line, fmt.Sprintf(format, args...), true})
}

func (j *judgement) note(f finding) {
	if !slices.Contains(j.found, f) {
		j.found = append(j.found, f)
	}
}

var (
	workflowPath = regexp.MustCompile(`^\.github/workflows/[^/]+\.ya?ml$`)
	actionPath   = regexp.MustCompile(`(?:^|/)action\.ya?ml$`)
	shellPath    = regexp.MustCompile(`\.(?:sh|bash)$|(?:^|/)\.envrc$`)
	plainPath    = regexp.MustCompile(`(?:^|/)(?:[^./]+|\.env[^/]*|[^/]+\.env)$`)
	imagePath    = regexp.MustCompile(`^(?:ansible|packer|docker|magefiles)/`)
	makePath     = regexp.MustCompile(`(?i)(?:^|/)(?:[^/]*makefile|dockerfile|containerfile)[^/]*$`)
	shellLine    = regexp.MustCompile(`^#!\s*\S*/(?:env\s+(?:-S\s+)?)?(?:ba|da)?sh\b`)
)

// judge reads a file by the rules of its kind.
func judge(f File) *judgement {
	github := workflowPath.MatchString(f.Path) || actionPath.MatchString(f.Path)
	j := &judgement{file: f, github: github, release: !imagePath.MatchString(f.Path) || github, left: maxNodes}
	text, ext := string(f.Data), path.Ext(f.Path)
	switch {
	case github || ext == ".yml" || ext == ".yaml" || ext == ".json":
		j.documents()
	case shellPath.MatchString(f.Path) || shellLine.MatchString(text):
		j.shell(script{at: "script", line: 1}, text, true)
	case j.release && (strings.HasPrefix(text, "#!") || programs.MatchString(f.Path)) && ext != ".go":
		j.foreign("it", 1, "a", text)
	default:
		j.text("it", 1, text)
		if plainPath.MatchString(f.Path) && !makePath.MatchString(f.Path) && !strings.HasPrefix(text, "#!") {
			j.shell(script{at: "script", line: 1}, text, false) // it may be there to be sourced
		}
	}
	return j
}

// What aliases of aliases, and an alias of what it lies in, may cost.
const (
	maxNodes = 100_000
	maxDepth = 128
)

func (j *judgement) documents() {
	dec := yaml.NewDecoder(bytes.NewReader(j.file.Data))
	for n := 0; ; n++ {
		doc := new(yaml.Node)
		switch err := dec.Decode(doc); {
		case errors.Is(err, io.EOF):
			if j.github && n == 0 {
				j.cannot(1, "it is empty")
			}
			return
		case err != nil:
			j.cannot(1, "not YAML that can be read: %v", err)
			return
		case j.github && n > 0:
			j.cannot(doc.Line, "a second document")
			return
		}
		if j.github && !j.recognised(doc.Content[0]) {
			return
		}
		if j.walk(place{}, doc); j.left <= 0 {
			j.found = nil
			j.cannot(1, "too large or too deep to be read")
			return
		}
		if j.halves[0] && j.halves[1] {
			j.add(1, "ALLOWED stands beside an expression that a name is put together with")
		}
	}
}

// recognised says whether the document has the shape of a workflow or of a composite action.
func (j *judgement) recognised(doc *yaml.Node) bool {
	jobs, using := field(doc, "jobs"), field(doc, "runs", "using")
	switch {
	case workflowPath.MatchString(j.file.Path) && (jobs == nil || jobs.Kind != yaml.MappingNode):
		j.cannot(1, "not a workflow: it has no jobs")
		return false
	case workflowPath.MatchString(j.file.Path), using != nil && using.Value == "composite":
		return true
	}
	j.cannot(1, "not a composite action, so what it runs is not read")
	return false
}

// field is the value under nested keys; nil when there is none.
func field(n *yaml.Node, keys ...string) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil || len(keys) == 0 {
		return n
	}
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if first, rest := keys[0], keys[1:]; n.Content[i].Value == first { //nolint:gosec // there is a key
			return field(n.Content[i+1], rest...)
		}
	}
	return nil
}

// place is where the walk is: the path of keys, and the shell of a step there.
type place struct {
	keys  []string
	shell string
}

func (p place) below(key string) place {
	p.keys = append(p.keys[:len(p.keys):len(p.keys)], key) // never shared with siblings
	return p
}

func (p place) String() string { return strings.Join(p.keys, ".") }

// last is the key so many steps up, empty beyond the top.
func (p place) last(up int) string {
	if i := len(p.keys) - 1 - up; i >= 0 {
		return p.keys[i]
	}
	return ""
}

func (p place) within(keys ...string) bool {
	return slices.ContainsFunc(p.keys, func(k string) bool { return slices.Contains(keys, k) })
}

func (j *judgement) walk(p place, n *yaml.Node) {
	if j.left--; j.left <= 0 || len(p.keys) > maxDepth {
		j.left = 0
		return
	}
	switch n.Kind {
	case yaml.DocumentNode:
		j.walk(p, n.Content[0])
	case yaml.AliasNode:
		j.walk(p, n.Alias)
	case yaml.SequenceNode:
		for i, c := range n.Content {
			j.walk(p.below(strconv.Itoa(i)), c)
		}
	case yaml.MappingNode:
		p.shell = shellOf(p, n)
		for i := 0; i+1 < len(n.Content); i += 2 {
			j.pair(p, n.Content[i], n.Content[i+1])
		}
	case yaml.ScalarNode:
		j.scalar(p, n, decoded(n))
	}
}

// shellOf is the shell of the steps in a mapping: its own, the default that it sets, or that of its runner.
func shellOf(p place, n *yaml.Node) string {
	for _, keys := range [][]string{{"shell"}, {"defaults", "run", "shell"}} {
		if s := field(n, keys...); s != nil && s.Kind == yaml.ScalarNode {
			return s.Value
		}
	}
	if p.last(1) == "jobs" && p.shell == "" && windows(field(n, "runs-on"), field(n, "strategy")) {
		return "pwsh"
	}
	return p.shell
}

func windows(nodes ...*yaml.Node) bool {
	return slices.ContainsFunc(nodes, func(n *yaml.Node) bool {
		return n != nil && (strings.Contains(strings.ToLower(n.Value), "windows") || windows(n.Content...))
	})
}

// decoded is the value of a scalar as a program reads it.
func decoded(n *yaml.Node) string {
	if n.Tag == "!!binary" {
		if data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), "")); err == nil {
			return string(data)
		}
	}
	return n.Value
}

func (j *judgement) pair(p place, key, value *yaml.Node) {
	line := key.Line
	for key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Value == "<<" { // a merged mapping belongs to the mapping around it
		j.walk(p, value)
		return
	}
	name := decoded(key)
	switch {
	case j.setsNames(p) && startsAllowed(name), nameIn(name, mention) != "", j.github && specKey.MatchString(name):
		j.add(line, "%s is set at %s", name, p)
	case j.setsNames(p) && (strings.ContainsAny(name, "${") || key.Kind != yaml.ScalarNode):
		j.cannot(line, "a computed name in %s", p)
	case j.setsNames(p) && name == "BASH_ENV":
		j.cannot(line, "BASH_ENV, a script that every step would begin with, in %s", p)
	}
	j.expressions(p.below(name), line, name)
	j.walk(p.below(name), value)
}

// setsNames says whether the keys, or the items, of what lies here are names of environment variables.
func (j *judgement) setsNames(p place) bool {
	if j.github {
		return p.last(0) == "env" && !p.within("matrix", "with", "inputs", "outputs", "secrets")
	}
	return slices.Contains([]string{"env", "environment", "environment_vars", "args"}, p.last(0))
}

// prose says whether the text is for people, who may say what they like.
func (j *judgement) prose(p place) bool {
	switch p.last(0) {
	case "description", "run-name":
		return true
	case "name":
		if j.github {
			return !p.within("with", "env", "matrix", "secrets", "services")
		}
		return !p.within("env", "environment")
	}
	return false
}

// scalar judges a value by what the place makes of it.
func (j *judgement) scalar(p place, n *yaml.Node, text string) {
	computed := expression.MatchString(text)
	j.expressions(p, n.Line, text)
	switch key := p.last(0); {
	case j.prose(p):
	case j.github && key == "run" && p.within("steps") && !p.within("with", "env"):
		j.run(p, n, text)
	case j.github && key == "shell" && p.within("steps", "defaults"):
		j.shell(script{at: p.String(), line: n.Line, flat: true}, text, true)
	case j.github && key == "options" && p.within("container", "services"):
		j.shell(script{at: p.String(), line: n.Line, flat: true}, "docker run "+text, true)
	case computed && j.setsNames(p), computed && j.github && key == "services",
		computed && j.github && key == "container" && strings.Contains(text, "fromJSON"):
		j.cannot(n.Line, "%s is computed, so what it sets cannot be read", p)
	case j.github && key == "uses":
		if name, local := strings.CutPrefix(text, "$/"); local || strings.HasPrefix(text, ".") {
			j.uses = append(j.uses, use{line: n.Line, name: name})
		}
	case key == "env_file" || p.last(1) == "env_file":
		j.uses = append(j.uses, use{line: n.Line, from: path.Dir(j.file.Path), name: text})
	case j.github && key == "script" && p.last(1) == "with":
		j.foreign(p.String(), n.Line, "a", text)
	case j.setsNames(place{keys: p.keys[:max(0, len(p.keys)-1)]}) && startsAllowed(text):
		name, _, _ := strings.Cut(text, "=")
		j.add(n.Line, "%s is set at %s", name, p)
	default:
		if name := nameIn(text, mention); name != "" {
			j.add(n.Line, "%s in %s", name, p)
		}
		if key == "if" && lookedUp.MatchString(text) {
			j.add(n.Line, "%s in %s", lookedUp.FindStringSubmatch(text)[1], p)
		}
	}
	j.halves[0] = j.halves[0] || !j.prose(p) && halfName.MatchString(text)
	j.halves[1] = j.halves[1] || otherHalf.MatchString(text)
}

// expressions are evaluated wherever they stand, in names and in comments too.
func (j *judgement) expressions(p place, line int, text string) {
	if !j.github {
		return
	}
	for _, at := range expression.FindAllStringIndex(text, -1) {
		e, line := text[at[0]:at[1]], line
		if p.last(0) == "run" {
			line += 1 + strings.Count(text[:at[0]], "\n")
		}
		switch name := nameIn(e, lookedUp, mention); {
		case name != "":
			j.add(line, "%s in %s", name, p)
		case anyContext.MatchString(e):
			j.cannot(line, "a variable that is looked up by a computed name in %s", p)
		case fileOfNames.MatchString(e) && p.last(0) != "run":
			j.cannot(line, "the path of GITHUB_ENV in %s", p)
		}
	}
}

var (
	posixShell  = regexp.MustCompile(`^(?:\S*/)?(?:ba|da)?sh(?:\s|$)`)
	pythonShell = regexp.MustCompile(`^(?:\S*/)?python3?(?:\s|$)`)
)

// run hands a script to the rules of its shell.
func (j *judgement) run(p place, n *yaml.Node, text string) {
	s := script{at: p.String(), line: n.Line, flat: true}
	if n.Style&yaml.LiteralStyle != 0 {
		s.line, s.flat = n.Line+1, false
	}
	switch {
	case p.shell == "" || posixShell.MatchString(p.shell):
		j.shell(s, text, true)
	case pythonShell.MatchString(p.shell):
		j.foreign(s.at, s.line, "a Python", text)
	default:
		j.text(s.at, s.line, text)
		j.cannot(s.line, "a script for %.40q in %s", p.shell, s.at)
	}
}
