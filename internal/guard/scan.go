package guard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
