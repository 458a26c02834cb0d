package guard

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// finding is one place of a file that guard 4 refuses, or cannot read.
type finding struct {
	line int
	what string
}

type scanner struct {
	posix    bool // every script of the file is for sh or bash, so '#' starts a comment
	resolver *resolver
	found    []finding
}

// scan looks at everything that the unit's file says.
func (u *unit) scan() []finding {
	if len(u.broken) > 0 {
		return u.broken
	}
	s := &scanner{posix: isScript(u.file.Path) || posixOnly(u.doc), resolver: &resolver{values: u.values, left: maxLookups}}
	if isScript(u.file.Path) {
		s.script([]string{"script"}, u.doc)
	} else {
		s.walk(nil, u.doc)
	}
	return s.found
}

func (s *scanner) add(line int, format string, args ...any) {
	s.found = append(s.found, finding{line, fmt.Sprintf(format, args...)})
}

func (s *scanner) walk(at []string, n *yaml.Node) {
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
		s.texts(at, n)
	}
}

// texts judges what a computed value can become.
func (s *scanner) texts(at []string, n *yaml.Node) {
	if !expression.MatchString(n.Value) {
		return
	}
	texts, ok := s.resolver.expand(n.Value, 0)
	if !ok {
		s.add(n.Line, "%s can become more than is followed here", strings.Join(at, "."))
	}
	for _, text := range texts {
		if s.match(mention, at, n.Line, text) {
			return
		}
	}
}
