package guard

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/rhysd/actionlint"
	"go.yaml.in/yaml/v4"
)

// unit is a file as guard 4 reads it: what it says, what its values can be, and
// which other files of the repository it calls.
type unit struct {
	file   File
	doc    *yaml.Node
	values values
	calls  []call
	broken []finding // why it cannot be read
}

// call is the use of a local action or of a local reusable workflow.
type call struct {
	line int
	uses string
	with map[string]string
}

// read parses a file. What cannot be read is a finding: the guard does not
// clear what it does not understand.
func read(f File) *unit {
	u := &unit{file: f, values: values{}}
	if isScript(f.Path) {
		u.doc = &yaml.Node{Kind: yaml.ScalarNode, Style: yaml.LiteralStyle, Value: string(f.Data)}
		u.values.script(string(f.Data))
		return u
	}
	var err error
	if u.doc, err = document(f.Data); err != nil {
		return u.refuse(1, "not YAML that can be read: "+err.Error())
	}
	if left := maxNodes; !fits(u.doc, 0, &left) {
		return u.refuse(1, "too large or too deep to be read")
	}
	if isAction(f.Path) {
		u.action()
		return u
	}
	w, errs := actionlint.Parse(f.Data)
	if len(errs) > 0 {
		return u.refuse(errs[0].Line, "not a workflow that can be read: "+errs[0].Message)
	}
	u.workflow(w)
	return u
}

// What aliases of aliases, and an alias of what it lies in, may cost.
const (
	maxNodes = 100_000
	maxDepth = 128
)

// fits says whether the document stays within bounds once its aliases are followed.
func fits(n *yaml.Node, depth int, left *int) bool {
	if *left--; *left <= 0 || depth > maxDepth {
		return false
	}
	if n.Kind == yaml.AliasNode {
		return fits(n.Alias, depth+1, left)
	}
	for _, c := range n.Content {
		if !fits(c, depth+1, left) {
			return false
		}
	}
	return true
}

func (u *unit) refuse(line int, what string) *unit {
	u.broken = append(u.broken, finding{line, what})
	return u
}

func (u *unit) workflow(w *actionlint.Workflow) {
	u.values = valuesOf(w)
	for _, job := range w.Jobs {
		if c := job.WorkflowCall; c != nil && c.Uses != nil {
			with := map[string]string{}
			for name, in := range c.Inputs {
				with[name] = valueOf(in.Value)
			}
			u.call(c.Uses, with)
		}
		for _, step := range job.Steps {
			if a, ok := step.Exec.(*actionlint.ExecAction); ok && a.Uses != nil {
				with := map[string]string{}
				for name, in := range a.Inputs {
					with[name] = valueOf(in.Value)
				}
				u.call(a.Uses, with)
			}
		}
	}
}

func valueOf(s *actionlint.String) string {
	if s == nil {
		return ""
	}
	return s.Value
}

func (u *unit) call(uses *actionlint.String, with map[string]string) {
	if strings.HasPrefix(uses.Value, ".") {
		u.calls = append(u.calls, call{uses.Pos.Line, uses.Value, with})
	}
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
