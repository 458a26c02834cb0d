package image

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// supported are the instructions that a static binary on an empty file system needs.
var supported = []string{"FROM", "ARG", "COPY", "LABEL", "USER", "EXPOSE", "ENTRYPOINT"}

// dockerfile is one parsed file: a single stage FROM scratch.
type dockerfile struct {
	path     string
	escape   rune
	commands []instructions.Command
}

// readDockerfile parses path and refuses, by line and instruction, whatever
// this builder does not do. It is read afresh for each image, because
// expanding variables changes the commands.
func readDockerfile(path string) (*dockerfile, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "Dockerfile", Err: err}
	}
	defer f.Close() //nolint:errcheck // read-only handle
	d := &dockerfile{path: path}
	parsed, err := parser.Parse(f)
	if err != nil {
		return nil, d.syntax(err)
	}
	for _, node := range parsed.AST.Children {
		if name := strings.ToUpper(node.Value); !slices.Contains(supported, name) {
			return nil, d.refuse(node.StartLine, name, "is not supported", "one of "+strings.Join(supported, ", "))
		}
	}
	stages, global, err := instructions.Parse(parsed.AST, nil)
	if err != nil {
		return nil, d.syntax(err)
	}
	if len(global) > 0 {
		return nil, d.refuse(line(global[0].Location()), "ARG", "stands before FROM", "ARG after FROM")
	}
	for _, s := range stages {
		if len(stages) > 1 || s.BaseName != "scratch" || s.Platform != "" {
			return nil, d.refuse(line(s.Location), "FROM", "is not the only stage, from scratch", "one stage, FROM scratch")
		}
	}
	d.escape, d.commands = parsed.EscapeToken, stages[0].Commands
	return d, nil
}

// refuse names line and instruction; the code is 2, because the Dockerfile is an input.
func (d *dockerfile) refuse(line int, instruction, problem, expected string) error {
	return &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("%s:%d: %s %s", d.path, line, instruction, problem),
		Expected: expected, Got: instruction,
		Hint: "the image is built without a daemon, from the instructions a static binary needs"}
}

func (d *dockerfile) syntax(err error) error {
	at := 0
	var located *parser.LocationError
	if errors.As(err, &located) && len(located.Locations) > 0 {
		at = line(located.Locations[0])
	}
	return &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("%s:%d", d.path, at), Err: err}
}

func line(at []parser.Range) int {
	if len(at) == 0 {
		return 0
	}
	return at[0].Start.Line
}

// variables are the ARG values in scope. A variable that no ARG declared, or
// that has no value, is an error and not an empty string.
type variables struct {
	lex    *shell.Lex
	given  map[string]string // build arguments
	values map[string]string // declared so far
}

// Get and Keys are shell.EnvGetter.
func (v *variables) Get(key string) (string, bool) { value, ok := v.values[key]; return value, ok }

func (v *variables) Keys() []string { return nil }

func (v *variables) declare(c *instructions.ArgCommand) {
	for _, arg := range c.Args {
		if value, ok := v.given[arg.Key]; ok {
			v.values[arg.Key] = value
		} else if arg.Value != nil {
			v.values[arg.Key] = *arg.Value
		}
	}
}

func (v *variables) expand(word string) (string, error) {
	out, unknown, err := v.lex.ProcessWord(word, v)
	if err != nil {
		return "", err
	}
	if len(unknown) > 0 {
		return "", fmt.Errorf("variable in %q has no value", word)
	}
	return out, nil
}
