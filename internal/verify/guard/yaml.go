package guard

import (
	"bytes"
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

// What aliases of aliases, and an alias of what it lies in, may cost.
const (
	maxNodes = 20_000
	maxDepth = 128
)

// The halves of a name: in one file they are taken to be put together (matrix.p is ALLOWED, ${{ matrix.p }}_MRTD).
var (
	halfName  = regexp.MustCompile(`\bALLOWED_?\b`)
	otherHalf = regexp.MustCompile(`\}\}_?(?:MRTD|RTMR[0-3]|TCB_STATUS)\b`)
)

func (j *judgement) documents() {
	dec := yaml.NewDecoder(bytes.NewReader(j.file.Data))
	for n := 0; ; n++ {
		doc := new(yaml.Node)
		switch err := dec.Decode(doc); {
		case errors.Is(err, io.EOF) && (n > 0 || !j.github):
			return
		case err != nil:
			j.cannot(1, "not YAML that can be read: %v", err)
			return
		case j.github && (n > 0 || !j.recognised(doc.Content[0])):
			j.cannot(doc.Line, "not one workflow with jobs, and not one composite action")
			return
		}
		j.literalMatrix = literalMatrix(doc.Content[0])
		if j.walk(place{}, doc); j.left <= 0 {
			j.named, j.unjudged = nil, nil
			j.cannot(1, "too large or too deep to be read")
			return
		}
		code := strings.Join(spellings(comment.ReplaceAllString(string(j.file.Data), "")), "\n")
		if j.github && halfName.MatchString(code) && otherHalf.MatchString(code) {
			j.cannot(1, "ALLOWED stands beside an expression that a name is put together with")
		}
	}
}

// recognised says whether the document has the shape of a workflow or of a composite action.
func (j *judgement) recognised(doc *yaml.Node) bool {
	if workflowPath.MatchString(j.file.Path) {
		jobs := field(doc, "jobs")
		return jobs != nil && jobs.Kind == yaml.MappingNode
	}
	using := field(doc, "runs", "using")
	return using != nil && using.Value == "composite"
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

// literalMatrix says whether every matrix of a workflow is there, and every value in it one line that is written out.
func literalMatrix(doc *yaml.Node) bool {
	jobs := field(doc, "jobs")
	if jobs == nil {
		return false // an action has its caller's
	}
	return !slices.ContainsFunc(jobs.Content, func(job *yaml.Node) bool {
		matrix := field(job, "strategy", "matrix")
		return field(job, "<<") != nil || field(job, "strategy", "<<") != nil || matrix != nil && !literal(matrix)
	})
}

func literal(n *yaml.Node) bool {
	return n.Kind != yaml.AliasNode && !strings.ContainsAny(n.Value, "\n") && !expression.MatchString(n.Value) &&
		!slices.ContainsFunc(n.Content, func(c *yaml.Node) bool { return !literal(c) })
}

// place is where the walk is: the keys that lead there ("jobs.release.steps.1.run"), and the shell of a step there.
type place struct {
	keys, shell string
	depth       int
}

func (p place) below(key string) place {
	key = fmt.Sprintf("%.80s", strings.ReplaceAll(key, ".", "_"))
	return place{strings.TrimPrefix(p.keys+"."+key, "."), p.shell, p.depth + 1}
}

func (p place) above() place {
	return place{keys: p.keys[:max(0, strings.LastIndexByte(p.keys, '.'))]}
}

// What a place of a workflow or of an action means. A step may be one of several that run side by side.
const (
	inStep      = `(?:^|\.)steps(?:\.\d+|\.parallel)+\.`
	inContainer = `\.(?:container|services\.[^.]+)\.`
)

var (
	envPlace      = regexp.MustCompile(`^(?:jobs\.[^.]+\.|runs\.)?env$|` + inContainer + `env$|` + inStep + `env$`)
	runPlace      = regexp.MustCompile(inStep + `run$`)
	shellPlace    = regexp.MustCompile(inStep + `shell$|(?:^|\.)defaults\.run\.shell$`)
	optionsPlace  = regexp.MustCompile(inContainer + `options$`)
	servicesPlace = regexp.MustCompile(`^jobs\.[^.]+\.services$`)
	imagePlace    = regexp.MustCompile(`^jobs\.[^.]+\.(?:container|services\.[^.]+)$`)
	programPlace  = regexp.MustCompile(`\.with\.script$`)
	usesPlace     = regexp.MustCompile(`\.uses$`)
)

// The shells that are followed; sh or bash is the default.
var (
	posixShell  = regexp.MustCompile(`^(?:$|(?:\S*/)?(?:ba|da)?sh(?:\s|$))`)
	pythonShell = regexp.MustCompile(`^(?:\S*/)?python3?(?:\s|$)`)
)

// What a place of any other file means: Compose's, Ansible's, Packer's.
var (
	environmentPlace = regexp.MustCompile(`(?:^|\.)(?:env|environment|environment_vars|args)$`)
	playPlace        = regexp.MustCompile(`(?:^|\.)environment$`)
	settingPlace     = regexp.MustCompile(`(?:^|\.)(?:env|environment|environment_vars|build\.args)\.\d+$`)
	fileOfEnv        = regexp.MustCompile(`(?:^|\.)env_file(?:\.\d+)?(?:\.path)?$`)
	fileName         = regexp.MustCompile(`^[\w.][\w./@+-]*$`)
)

// Prose is for people, who may say what they like; an input, a variable or a matrix may bear the same names.
var (
	prosePlace = regexp.MustCompile(`(?:^|\.)(?:name|run-name|description)$`)
	notProse   = regexp.MustCompile(`(?:^|\.)(?:env|environment|with|secrets|matrix|services)\.|\.outputs\.[^.]+$`)
)

// setsNames says whether the keys, or the items, of what lies here are names of environment variables.
func (j *judgement) setsNames(p place) bool {
	if j.github {
		return envPlace.MatchString(p.keys)
	}
	return environmentPlace.MatchString(p.keys)
}

func (j *judgement) walk(p place, n *yaml.Node) {
	if j.left--; j.left <= 0 || p.depth > maxDepth {
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
		j.scalar(p, n)
	}
}

// shellOf is the shell of the steps in a mapping: its own, the default that it sets, or that of its runner.
func shellOf(p place, n *yaml.Node) string {
	for _, keys := range [][]string{{"shell"}, {"defaults", "run", "shell"}} {
		if s := field(n, keys...); s != nil && s.Kind == yaml.ScalarNode && s.Value != "" {
			return s.Value
		}
	}
	on := field(n, "runs-on")
	switch {
	case p.shell != "" || on == nil:
	case windows(on, field(n, "strategy")):
		return "pwsh"
	case computed(on, field(n, "strategy", "matrix")):
		return "a machine that is computed"
	}
	return p.shell
}

// elsewhere is what an expression does not take from its file: the default shell of a machine named so is not known.
var (
	elsewhere = regexp.MustCompile(`(?i)\b(?:vars|inputs|needs|env|secrets|steps|fromJSON|format|join)\b|` +
		`\bgithub\s*(?:\.\s*|\[\s*')event\b`)
	matrixKey = regexp.MustCompile(`(?i)\bmatrix\s*(?:\.\s*|\[\s*')([\w-]+)`)
)

// computed says whether the name of a machine is made of what the file does not show, itself or by way of the matrix.
func computed(on, matrix *yaml.Node) bool {
	for _, e := range expression.FindAllString(on.Value, -1) {
		if elsewhere.MatchString(e) || strings.Contains(strings.ToLower(e), "matrix") && !shown(matrix, e) {
			return true
		}
	}
	return slices.ContainsFunc(on.Content, func(c *yaml.Node) bool {
		return c.Kind == yaml.AliasNode || computed(c, matrix)
	})
}

// shown says whether all values that an expression takes from the matrix are written out.
func shown(matrix *yaml.Node, e string) bool {
	keys := matrixKey.FindAllStringSubmatch(e, -1)
	if len(keys) == 0 || matrix == nil || matrix.Kind != yaml.MappingNode || field(matrix, "<<") != nil {
		return false
	}
	include := field(matrix, "include")
	for _, key := range keys {
		values := []*yaml.Node{field(matrix, key[1])}
		if include != nil && include.Kind == yaml.SequenceNode {
			for _, one := range include.Content {
				values = append(values, field(one, key[1]))
			}
		} else if include != nil {
			return false
		}
		if slices.ContainsFunc(values, func(v *yaml.Node) bool { return v != nil && !literal(v) }) {
			return false
		}
	}
	return true
}

func windows(nodes ...*yaml.Node) bool {
	return slices.ContainsFunc(nodes, func(n *yaml.Node) bool {
		return n != nil && (strings.Contains(strings.ToLower(n.Value), "windows") || windows(n.Content...))
	})
}

// pair judges a key and its value. Clause 3: where keys name variables, they are written out.
func (j *judgement) pair(p place, key, value *yaml.Node) {
	line := key.Line
	for key.Kind == yaml.AliasNode {
		key = key.Alias
	}
	if key.Value == "<<" { // merged mappings belong to the mapping around them
		merged := []*yaml.Node{value}
		if value.Kind == yaml.SequenceNode {
			merged = value.Content
		}
		for _, one := range merged {
			j.walk(p, one)
		}
		return
	}
	name := key.Value
	switch {
	case nameIn(name, mention) != "", j.github && specKey.MatchString(name):
		j.add(line, name, p.keys)
	case key.Tag == "!!binary", j.setsNames(p) && (strings.ContainsAny(name, "${") || key.Kind != yaml.ScalarNode):
		j.cannot(line, "a computed name in %s", p.keys)
	case j.setsNames(p):
		j.variable(line, name, p.keys)
	}
	j.expressions(p.below(name), line, name)
	j.walk(p.below(name), value)
}

// scalar judges a value by what the place makes of it.
func (j *judgement) scalar(p place, n *yaml.Node) {
	at := func(form *regexp.Regexp) bool { return j.github && form.MatchString(p.keys) }
	s := script{at: p.keys, line: n.Line, flat: n.Style&yaml.LiteralStyle == 0}
	j.expressions(p, n.Line, n.Value)
	switch text := n.Value; {
	case prosePlace.MatchString(p.keys) && !notProse.MatchString(p.keys):
	case n.Tag == "!!binary":
		j.cannot(n.Line, "binary data in %s", p.keys)
	case at(runPlace) && posixShell.MatchString(p.shell), at(shellPlace):
		j.shell(s, text, true)
	case at(optionsPlace):
		j.shell(s, "docker run "+text, true)
	case at(runPlace) && pythonShell.MatchString(p.shell), at(programPlace):
		j.foreign(p.keys, n.Line, text)
	case at(runPlace):
		j.text(p.keys, n.Line, text)
		j.cannot(n.Line, "a script for %.40q in %s", p.shell, p.keys)
	case expression.MatchString(text) && (j.setsNames(p) || at(servicesPlace)),
		strings.Contains(text, "fromJSON") && at(imagePlace):
		j.cannot(n.Line, "%s is computed, so what it sets cannot be read", p.keys)
	case at(usesPlace):
		if name, local := strings.CutPrefix(text, "$/"); local || strings.HasPrefix(text, ".") {
			j.uses = append(j.uses, use{line: n.Line, name: name})
		}
	case !j.github && playPlace.MatchString(p.keys) && strings.Contains(text, "{{"):
		j.cannot(n.Line, "%s is computed, so what it sets cannot be read", p.keys)
	case fileOfEnv.MatchString(p.keys):
		j.uses = append(j.uses, use{line: n.Line, from: path.Dir(j.file.Path), name: text})
	default:
		if name := nameIn(text, mention); name != "" {
			j.add(n.Line, name, p.keys)
		}
		if j.github && route.MatchString(quotes.Replace(text)) {
			j.cannot(n.Line, "the path of GITHUB_ENV in %s", p.keys)
		}
		if j.setsNames(p.above()) { // an item of a list of NAME=value
			j.item(p, n.Line, text)
		}
		if fileName.MatchString(text) { // a file or a folder that an action or a program is told, if it is one
			j.uses = append(j.uses, use{line: n.Line, name: text, from: path.Dir(j.file.Path), optional: true})
		}
	}
}

// item judges NAME=value in a list. Arguments are such a list where they are those of a build.
func (j *judgement) item(p place, line int, text string) {
	name, _, _ := strings.Cut(text, "=")
	j.variable(line, name, p.keys)
	if settingPlace.MatchString(p.keys) && mayBecomeAllowed(name) {
		j.cannot(line, "a computed name in %s", p.keys)
	}
}

var (
	expression  = regexp.MustCompile(`(?s)\$\{\{.*?\}\}`)
	condition   = regexp.MustCompile(`(?:^|\.)if$`) // is an expression without braces
	fileOfNames = regexp.MustCompile(`(?i)\bgithub\s*(?:\.\s*|\[\s*')env\b|\benv\s*(?:\.\s*|\[\s*')GITHUB_ENV\b`)
	anyContext  = regexp.MustCompile(`(?i)\b(?:vars|env|secrets|inputs|github)\s*\[\s*[^'\s]|` +
		`toJSON\s*\([\s(]*(?:vars|env|secrets)\s*(?:\)|\.\s*\*)|\b(?:vars|env|secrets)\s*\.\s*\*`)
)

// expressions are evaluated wherever they stand, in names and in comments too.
func (j *judgement) expressions(p place, line int, text string) {
	if !j.github {
		return
	}
	found := expression.FindAllString(text, -1)
	if condition.MatchString(p.keys) {
		found = []string{text}
	}
	for _, e := range found {
		switch name := nameIn(e, lookedUp, mention); {
		case name != "":
			j.add(line, name, p.keys)
		case anyContext.MatchString(e):
			j.cannot(line, "a variable that is looked up by a computed name in %s", p.keys)
		case fileOfNames.MatchString(e) && !runPlace.MatchString(p.keys):
			j.cannot(line, "the path of GITHUB_ENV in %s", p.keys)
		}
	}
}
