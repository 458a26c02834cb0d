package guard

import (
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"
)

// hole is a part of a name that is computed: an expression that is not known, a
// shell variable, a command's output.
const hole = unknown + `|\$\{[^}]*\}|\$[A-Za-z_][A-Za-z0-9_]*|\$\([^)]*\)`

// Statements, without quotes, that set variables for other commands or steps,
// and the names in them that are put together.
var (
	setting  = regexp.MustCompile(`GITHUB_ENV|(?:^|[\s;&|(])(?:export|declare|typeset|readonly|env|eval)\s|\s(?:-e|--env)[\s=]`)
	exports  = regexp.MustCompile(`GITHUB_ENV|(?:^|[\s;&|(])(?:export|declare|typeset|readonly|eval)\s`)
	half     = regexp.MustCompile(`(?:^|[^A-Za-z0-9_])ALLOWED(?:[^A-Za-z0-9_]|$)`)
	put      = regexp.MustCompile(`(?:^|[\s;&|(])((?:[A-Za-z0-9_]|` + hole + `)+)(?:\+?=|<<)`)
	holes    = regexp.MustCompile(hole)
	exported = regexp.MustCompile(`(?:^|[\s;&|(])(?:export|declare|typeset|readonly)\s+(?:-\S+\s+)*(?:` + hole + `)`)
)

// Writing to GITHUB_ENV, and the forms of it of which the name can be read: a
// name, a here-document, the end of a group, a word without holes.
var (
	writing  = regexp.MustCompile(`>>?\s*\$\{?GITHUB_ENV\b|\btee\s[^|;&]*GITHUB_ENV`)
	readable = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*=|<<|^\s*(?:\}|\)|done\b|fi\b)|^\s*(?:echo|printf)\s[^$` + unknown + `|;&]*>>?\s*\$\{?GITHUB_ENV`)
)

// script reads a run script. GitHub evaluates expressions before the shell sees
// anything, in comments too, so they are judged first, and then the statements
// with what the expressions and the variables can become.
func (s *scanner) script(at []string, n *yaml.Node) {
	for _, e := range expression.FindAllStringIndex(n.Value, -1) {
		s.match(anyCase, at, lineOf(n, strings.Count(n.Value[:e[0]], "\n")), n.Value[e[0]:e[1]])
	}
	code, tokens := tokenize(n.Value)
	lines := rawLines(code)
	if s.posix {
		lines = statements(code)
	}
	for _, l := range lines {
		texts, ok := s.becomes(tokens.restore(l.text))
		if !ok {
			s.add(lineOf(n, l.index), "%s can become more than is followed here", strings.Join(at, "."))
		}
		for _, text := range texts {
			if what := s.judge(text); what != "" {
				s.add(lineOf(n, l.index), "%s in %s", what, strings.Join(at, "."))
				break
			}
		}
	}
}

// becomes lists what a statement can become.
func (s *scanner) becomes(text string) ([]string, bool) {
	texts, ok := s.resolver.expand(text, 0)
	if !ok || !s.posix {
		return texts, ok
	}
	return s.resolver.shells(texts, 0)
}

// judge names what the statement sets or mentions; empty when it is innocent.
func (s *scanner) judge(text string) string {
	forms := []*regexp.Regexp{mention, assignment, exporting}
	if !s.posix {
		forms = []*regexp.Regexp{anyCase}
	}
	for _, form := range forms {
		if m := form.FindStringSubmatch(text); m != nil {
			return m[1]
		}
	}
	if !s.posix {
		return ""
	}
	switch {
	case exports.MatchString(text) && half.MatchString(text):
		return "a name that begins with ALLOWED and is put together"
	case setting.MatchString(text) && computed(text), exported.MatchString(text):
		return "a name that is computed"
	case writing.MatchString(text) && !readable.MatchString(text):
		return "GITHUB_ENV filled with what cannot be read"
	}
	return ""
}

func computed(text string) bool {
	for _, m := range put.FindAllStringSubmatch(text, -1) {
		if holes.MatchString(m[1]) {
			return true
		}
	}
	return false
}

var variable = regexp.MustCompile(`\$\{([A-Za-z_][A-Za-z0-9_]*)(?::?[-=+?]([^}]*))?\}|\$([A-Za-z_][A-Za-z0-9_]*)`)

// shell lists what a statement can become once its variables have the values
// that the file gives them; a variable without any stays as it is.
func (r *resolver) shell(text string, depth int) ([]string, bool) {
	out, rest, changed := []string{""}, text, false
	for at := variable.FindStringSubmatchIndex(rest); at != nil; at = variable.FindStringSubmatchIndex(rest) {
		candidates := r.variable(variable.FindStringSubmatch(rest))
		changed = changed || len(candidates) > 0
		if len(candidates) == 0 {
			candidates = []string{rest[at[0]:at[1]]}
		}
		var ok bool
		if out, ok = product(out, []string{rest[:at[0]]}); ok {
			out, ok = product(out, candidates)
		}
		if !ok || r.left <= 0 {
			return nil, false
		}
		rest = rest[at[1]:]
	}
	out, ok := product(out, []string{rest})
	if !ok || !changed || depth >= maxNesting {
		return out, ok
	}
	return r.shells(out, depth+1) // variables that came out of variables
}

// shells is shell of several texts.
func (r *resolver) shells(texts []string, depth int) ([]string, bool) {
	var out []string
	for _, t := range texts {
		more, ok := r.shell(t, depth)
		if !ok || len(out)+len(more) > maxTexts {
			return nil, false
		}
		out = append(out, more...)
	}
	return out, true
}

// variable lists the values of $NAME, ${NAME} or ${NAME:-default}, as far as they are known.
func (r *resolver) variable(m []string) []string {
	var out []string
	for _, v := range r.lookup("env."+strings.ToLower(m[1]+m[3]), 1) {
		if v != unknown {
			out = append(out, v)
		}
	}
	if m[2] != "" {
		out = append(out, m[2])
	}
	return out
}
