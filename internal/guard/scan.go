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

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v4"
)

// finding is one place of a file that guard 4 refuses, or cannot read.
type finding struct {
	line int
	what string
}

// GitHub's contexts ignore case (vars.allowed_mrtd reads ALLOWED_MRTD), Linux
// environments do not. So case is ignored where a name is set or looked up, and
// minded in plain text, where allowed_mrtd is also a field of the policy file.
var (
	mention    = regexp.MustCompile(`(?:^|[^A-Za-z0-9_])(ALLOWED_[A-Za-z0-9_]*)`)
	anyCase    = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9_])(ALLOWED_[A-Za-z0-9_]*)`)
	specName   = regexp.MustCompile(`(?i)^(ALLOWED_(?:MRTD|RTMR[0-9]|TCB_STATUS(?:ES)?))$`)
	assignment = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9_.$])(ALLOWED_[A-Za-z0-9_]*)(?:\+?=|<<)`)
	exporting  = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9_.-])(?:export|declare|typeset|readonly|read)\s+(?:-\S+\s+)*(ALLOWED_[A-Za-z0-9_]*)`)
	expression = regexp.MustCompile(`(?s)\$\{\{.*?\}\}`)
)

func startsAllowed(name string) bool {
	return len(name) >= len("ALLOWED_") && strings.EqualFold(name[:len("ALLOWED_")], "ALLOWED_")
}

// What aliases of aliases, and an alias of what it lies in, may cost.
const (
	maxNodes = 100_000
	maxDepth = 64
)

type scanner struct {
	posix bool // every script of the file is for sh or bash, so '#' starts a comment
	left  int  // nodes that may still be visited
	found []finding
}

// scan reads one workflow or action. What cannot be read is a finding too:
// the guard does not clear what it does not understand.
func scan(f File) []finding {
	if isWorkflow(f.Path) {
		if _, errs := actionlint.Parse(f.Data); len(errs) > 0 {
			return []finding{{errs[0].Line, "not a workflow that can be read: " + errs[0].Message}}
		}
	}
	doc, err := document(f.Data)
	if err != nil {
		return []finding{{1, "not YAML that can be read: " + err.Error()}}
	}
	s := &scanner{posix: posixOnly(doc), left: maxNodes}
	s.walk(nil, doc)
	if s.left <= 0 {
		s.add(1, "too large or too deep to be read")
	}
	return s.found
}

func document(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	doc := new(yaml.Node)
	if err := dec.Decode(doc); err != nil {
		return nil, err
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	return doc, nil
}

func (s *scanner) add(line int, format string, args ...any) {
	s.found = append(s.found, finding{line, fmt.Sprintf(format, args...)})
}

func (s *scanner) walk(at []string, n *yaml.Node) {
	if s.left--; s.left <= 0 || len(at) > maxDepth {
		s.left = 0
		return
	}
	switch n.Kind {
	case yaml.DocumentNode:
		s.walk(at, n.Content[0])
	case yaml.AliasNode:
		s.walk(at, n.Alias)
	case yaml.SequenceNode:
		for i, c := range n.Content {
			s.walk(below(at, strconv.Itoa(i)), c)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			s.pair(at, n.Content[i], n.Content[i+1])
		}
	case yaml.ScalarNode:
		s.scalar(at, n)
	}
}

func (s *scanner) pair(at []string, key, value *yaml.Node) {
	if key.Value == "<<" { // a merged mapping belongs to the mapping around it
		s.walk(at, value)
		return
	}
	inside := below(at, key.Value)
	if matches(at, environments) && startsAllowed(key.Value) || mention.MatchString(key.Value) || specName.MatchString(key.Value) {
		s.add(key.Line, "%s is set at %s", key.Value, strings.Join(at, "."))
	}
	s.expressions(inside, key)
	s.walk(inside, value)
}

// below never shares memory with its siblings.
func below(at []string, key string) []string { return append(at[:len(at):len(at)], key) }

func (s *scanner) scalar(at []string, n *yaml.Node) {
	switch {
	case matches(at, scripts):
		s.script(at, n)
	case matches(at, environments) && expression.MatchString(n.Value):
		s.add(n.Line, "%s is computed, so what it sets cannot be read", strings.Join(at, "."))
	case matches(at, conditions):
		s.match(anyCase, at, n.Line, n.Value)
	case matches(at, prose):
		s.expressions(at, n)
	case mention.MatchString(n.Value):
		s.match(mention, at, n.Line, n.Value)
	default:
		s.expressions(at, n)
	}
}

// Places of a workflow or an action, as patterns over the path of keys.
const (
	scripts      = "jobs/*/steps/*/run runs/steps/*/run"
	environments = "env jobs/*/env jobs/*/steps/*/env jobs/*/container/env jobs/*/services jobs/*/services/*/env runs/env runs/steps/*/env"
	conditions   = "jobs/*/if jobs/*/steps/*/if runs/steps/*/if runs/pre-if runs/post-if"
	// text for people, which may say what it likes
	prose = "name run-name description jobs/*/name jobs/*/steps/*/name runs/steps/*/name inputs/*/description " +
		"outputs/*/description on/workflow_*/inputs/*/description on/workflow_call/*/*/description"
)

func matches(at []string, places string) bool {
	key := strings.Join(at, "/")
	return slices.ContainsFunc(strings.Fields(places), func(p string) bool { ok, _ := path.Match(p, key); return ok })
}

func (s *scanner) expressions(at []string, n *yaml.Node) {
	for _, e := range expression.FindAllString(n.Value, -1) {
		s.match(anyCase, at, n.Line, e)
	}
}

func (s *scanner) match(form *regexp.Regexp, at []string, line int, text string) bool {
	m := form.FindStringSubmatch(text)
	if m != nil {
		s.add(line, "%s in %s", m[1], strings.Join(at, "."))
	}
	return m != nil
}

// script reads a run script. GitHub evaluates expressions before the shell sees
// anything, in comments too, so they are judged first and then taken out.
func (s *scanner) script(at []string, n *yaml.Node) {
	for _, e := range expression.FindAllStringIndex(n.Value, -1) {
		s.match(anyCase, at, lineOf(n, strings.Count(n.Value[:e[0]], "\n")), n.Value[e[0]:e[1]])
	}
	code := expression.ReplaceAllStringFunc(n.Value, func(e string) string { return strings.Repeat("\n", strings.Count(e, "\n")) })
	lines, forms := rawLines(code), []*regexp.Regexp{anyCase}
	if s.posix {
		lines, forms = statements(code), []*regexp.Regexp{mention, assignment, exporting}
	}
	for _, l := range lines {
		for _, form := range forms {
			if s.match(form, at, lineOf(n, l.index), l.text) {
				break
			}
		}
	}
}

// lineOf is the line in the file of a scalar's line; a folded scalar has lost its own lines.
func lineOf(n *yaml.Node, index int) int {
	if n.Style&yaml.LiteralStyle != 0 {
		return n.Line + 1 + index
	}
	return n.Line
}

// posixOnly is false as soon as a script of the file may be for another shell:
// one is named, or the file speaks of Windows, where pwsh is the default.
func posixOnly(n *yaml.Node) bool {
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 && n.Content[i-1].Value == "shell" && !posixShell.MatchString(c.Value) {
			return false
		}
		if !posixOnly(c) {
			return false
		}
	}
	return !strings.Contains(strings.ToLower(n.Value), "windows")
}

var posixShell = regexp.MustCompile(`^(ba)?sh( |$)`)
