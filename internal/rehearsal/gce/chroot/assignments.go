package chroot

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// variables are what a POSIX shell has after it has sourced files that do
// nothing but assign, such as /etc/default/grub and os-release, by name. A file
// that does anything else is refused, and nothing is ever run.
type variables map[string]value

type value struct {
	text    string
	unknown bool // only a command can tell, and it is not run
}

const maxAssignments = 64 << 10 // bytes of a file

var errNoAssignment = errors.New("not an assignment NAME=value, and nothing else is read here")

// source gives the variables after a file that is sourced after these.
func (v variables) source(text []byte) (variables, error) {
	if len(text) > maxAssignments {
		return nil, fmt.Errorf("%d bytes: more than %d", len(text), maxAssignments)
	}
	if bytes.ContainsAny(text, "\x00\r") {
		return nil, errors.New("a NUL or a carriage return, which shells read differently")
	}
	// bash's grammar knows that export takes assignments; what POSIX lacks is refused below.
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash)).Parse(bytes.NewReader(text), "")
	if err != nil {
		return nil, err
	}
	next := maps.Clone(v)
	if next == nil {
		next = variables{}
	}
	for _, s := range file.Stmts {
		if err := next.run(s, text); err != nil {
			return nil, fmt.Errorf("line %d: %w", s.Pos().Line(), err)
		}
	}
	return next, nil
}

// get is the variable's value, empty when it was never set.
func (v variables) get(name string) (string, error) {
	if v[name].unknown {
		return "", fmt.Errorf("%s is set by a command, and no command is run to read it", name)
	}
	return v[name].text, nil
}

// run executes a statement of the file text.
func (v variables) run(s *syntax.Stmt, text []byte) error {
	assigns := assignments(s)
	if len(assigns) == 0 {
		return errNoAssignment
	}
	for _, a := range assigns {
		if a.Append || a.Naked || a.Index != nil || a.Array != nil || !variable.MatchString("$"+a.Name.Value) {
			return errNoAssignment
		}
		e := expansion{text: text, vars: v}
		if a.Value != nil {
			if err := e.parts(a.Value.Parts, false); err != nil {
				return fmt.Errorf("%s: %w", a.Name.Value, err)
			}
		}
		v[a.Name.Value] = value{e.out.String(), e.unknown}
	}
	return nil
}

// assignments are those of a statement that has nothing else.
func assignments(s *syntax.Stmt) []*syntax.Assign {
	if s.Negated || s.Background || s.Coprocess || s.Disown || len(s.Redirs) > 0 {
		return nil
	}
	switch c := s.Cmd.(type) {
	case *syntax.CallExpr:
		if len(c.Args) == 0 {
			return c.Assigns
		}
	case *syntax.DeclClause:
		if c.Variant.Value == "export" {
			return c.Args
		}
	}
	return nil
}

// expansion is a value being put together. (expand.Literal of the same module
// leaves backslashes outside quotes in it.)
type expansion struct {
	text    []byte // of the file
	vars    variables
	out     strings.Builder
	unknown bool
}

// variable is the one form of an expansion that is read here.
var variable = regexp.MustCompile(`^\$(?:([A-Za-z_][A-Za-z0-9_]*)|\{([A-Za-z_][A-Za-z0-9_]*)\})$`)

// parts refuses what shells do not agree on, and what a configuration file has no need of.
func (e *expansion) parts(parts []syntax.WordPart, quoted bool) error {
	for _, part := range parts {
		ok, err := false, error(nil)
		source := string(e.text[part.Pos().Offset():part.End().Offset()])
		switch p := part.(type) {
		case *syntax.Lit:
			ok, err = true, e.literal(p.Value, quoted)
		case *syntax.SglQuoted:
			ok = !p.Dollar
			e.out.WriteString(p.Value)
		case *syntax.DblQuoted:
			ok, err = !p.Dollar, e.parts(p.Parts, true)
		case *syntax.ParamExp:
			if name := variable.FindStringSubmatch(source); name != nil {
				ok = true
				used := e.vars[name[1]+name[2]]
				e.out.WriteString(used.text)
				e.unknown = e.unknown || used.unknown
			}
		case *syntax.CmdSubst:
			ok, e.unknown = p.Backquotes, true // as in Debian's GRUB_DISTRIBUTOR
		}
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("%.40q: only quotations, $NAME, ${NAME} and a command in back quotes are read here", source)
		}
	}
	return nil
}

// literal takes the backslashes out. Between double quotes one stands for
// itself before all but four characters.
func (e *expansion) literal(text string, quoted bool) error {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\' && i+1 == len(text):
			return errors.New("a backslash ends the file")
		case c == '\\' && (!quoted || strings.IndexByte("$`\"\\", text[i+1]) >= 0):
			i++
		case c == '$':
			return errors.New("after a $ only the name of a variable is read here")
		case c == '~' && !quoted:
			return errors.New("a ~ outside quotes is a home folder to a shell")
		}
		e.out.WriteByte(text[i])
	}
	return nil
}
