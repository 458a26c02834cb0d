package image

import (
	"errors"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
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
	defer f.Close()
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
// that has no value, is an error and not an empty string, unless the Dockerfile
// says what stands for it: ${X:-plain}.
type variables struct {
	lex    *shell.Lex
	kept   *shell.Lex        // leaves what has no value as it is written
	given  map[string]string // build arguments
	values map[string]string // declared so far
}

func newVariables(escape rune, given map[string]string) *variables {
	v := &variables{lex: shell.NewLex(escape), kept: shell.NewLex(escape), given: given, values: map[string]string{}}
	v.kept.SkipUnsetEnv = true
	return v
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
		} else if value, ok := ofPlatform[arg.Key]; ok {
			v.values[arg.Key] = value
		}
	}
}

// ofPlatform are the variables that say what an image is for, where an ARG declares one and gives it no value;
// ofBuilder say where it is built, on which nothing in it may depend.
var (
	ofPlatform = map[string]string{"TARGETPLATFORM": platform.OS + "/" + platform.Architecture, "TARGETOS": platform.OS,
		"TARGETARCH": platform.Architecture, "TARGETVARIANT": platform.Variant}
	ofBuilder = []string{"BUILDPLATFORM", "BUILDOS", "BUILDARCH", "BUILDVARIANT"}
)

// substituted is a reference that says what stands for a variable without a value:
// ${X-…} or ${X+…}, with or without a colon.
var substituted = regexp.MustCompile(`^\$\{[A-Za-z0-9_]+:?[-+]`)

func (v *variables) expand(word string) (string, error) {
	out, unknown, err := v.lex.ProcessWord(word, v)
	if err != nil || len(unknown) == 0 {
		return out, err
	}
	left, _, err := v.kept.ProcessWord(word, withoutDollars{v})
	for i := 0; err == nil && i < len(left); i++ {
		if left[i] == '$' && !substituted.MatchString(left[i:]) {
			return "", fmt.Errorf("variable in %q has no value", word)
		}
	}
	return out, err
}

// withoutDollars gives values in which nothing looks like a variable.
type withoutDollars struct{ *variables }

func (v withoutDollars) Get(key string) (string, bool) {
	value, ok := v.variables.Get(key)
	return strings.ReplaceAll(value, "$", "_"), ok
}

// stage executes the commands of one image.
type stage struct {
	build  *builder
	file   *dockerfile
	vars   *variables
	config v1.Config
	layers []mutate.Addendum
	tree   tree             // what they hold
	room   *budget          // what they may still hold, to be read back
	modes  map[string]int64 // of its files
	enters int              // line of the ENTRYPOINT that counts; 0: there is none yet
}

// defaultPath is what BuildKit and buildah set in an image from scratch.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func newStage(b *builder, file *dockerfile, args map[string]string) *stage {
	return &stage{build: b, file: file,
		vars: newVariables(file.escape, args), tree: tree{}, room: wholeImage(), modes: map[string]int64{},
		config: v1.Config{Env: []string{defaultPath}, WorkingDir: "/",
			Labels: map[string]string{}, ExposedPorts: map[string]struct{}{}}}
}

// apply executes one command; what goes wrong is told with its line.
func (s *stage) apply(c instructions.Command) error {
	if e, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		if err := e.Expand(s.vars.expand); err != nil {
			return s.file.refuse(line(c.Location()), strings.ToUpper(c.Name()), err.Error(),
				"variables that an ARG gives a value")
		}
	}
	switch c := c.(type) {
	case *instructions.ArgCommand:
		for _, arg := range c.Args {
			if slices.Contains(ofBuilder, arg.Key) {
				return s.file.refuse(line(c.Location()), "ARG", "of "+arg.Key+" is the builder's machine",
					"TARGETPLATFORM, TARGETOS or TARGETARCH: what is built does not depend on where")
			}
		}
		s.vars.declare(c)
	case *instructions.CopyCommand:
		return s.copy(c)
	case *instructions.LabelCommand:
		for _, label := range c.Labels {
			s.config.Labels[label.Key] = label.Value
		}
	case *instructions.UserCommand:
		if !userForm.MatchString(c.User) {
			return s.file.refuse(line(c.Location()), "USER", fmt.Sprintf("of %q is not a number", c.User),
				"uid or uid:gid, as 65532:65532: an empty file system knows no names")
		}
		s.config.User = c.User
	case *instructions.ExposeCommand:
		return s.expose(c)
	case *instructions.EntrypointCommand:
		if c.PrependShell {
			return s.file.refuse(line(c.Location()), "ENTRYPOINT", "needs a shell", `the JSON form, ["/program"]`)
		}
		s.config.Entrypoint, s.enters = c.CmdLine, line(c.Location())
	default:
		return s.file.refuse(line(c.Location()), strings.ToUpper(c.Name()), "is not supported",
			"one of "+strings.Join(supported, ", "))
	}
	return nil
}

// userForm is a user and a group by their numbers, below 2^31.
var userForm = regexp.MustCompile(`^(?:0|[1-9][0-9]{0,8}|1[0-9]{9})(?::(?:0|[1-9][0-9]{0,8}|1[0-9]{9}))?$`)

// startable says whether the image can be started: its one program is in it, and may be executed.
func (s *stage) startable() error {
	refuse := func(problem string) error {
		return s.file.refuse(max(1, s.enters), "ENTRYPOINT", problem,
			`["/program"], which a COPY with --chmod=0755 puts there`)
	}
	if s.enters == 0 || len(s.config.Entrypoint) == 0 {
		return refuse("names no program")
	}
	program := s.config.Entrypoint[0]
	mode, there := s.modes[program]
	switch {
	case !there:
		return refuse(fmt.Sprintf("of %q is not in the image", program))
	case mode&0o111 != 0o111:
		return refuse(fmt.Sprintf("of %q may not be executed: its mode is %04o", program, mode))
	}
	return nil
}

func (s *stage) expose(c *instructions.ExposeCommand) error {
	for _, word := range c.Ports {
		expanded, err := s.vars.expand(word) // a variable may hold several
		if err != nil {
			return s.file.refuse(line(c.Location()), "EXPOSE", err.Error(), "variables that an ARG gives a value")
		}
		ports := strings.Fields(expanded)
		if len(ports) == 0 {
			ports = []string{expanded}
		}
		for _, port := range ports {
			if err := s.exposePort(c, port); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *stage) exposePort(c *instructions.ExposeCommand, word string) error {
	number, protocol, named := strings.Cut(word, "/")
	if protocol = strings.ToLower(protocol); !named {
		protocol = "tcp"
	}
	port, err := strconv.ParseUint(number, 10, 16)
	if err != nil || port == 0 || number != strconv.FormatUint(port, 10) || protocol != "tcp" && protocol != "udp" {
		return s.file.refuse(line(c.Location()), "EXPOSE", fmt.Sprintf("of %q is not a port", word),
			"a number from 1 to 65535, /tcp or /udp")
	}
	s.config.ExposedPorts[number+"/"+protocol] = struct{}{}
	return nil
}

func (s *stage) copy(c *instructions.CopyCommand) error {
	refuse := func(problem, expected string) error {
		return s.file.refuse(line(c.Location()), "COPY", problem, expected)
	}
	if c.From != "" || c.Chown != "" || c.Link || c.Parents || len(c.ExcludePatterns) > 0 || len(c.SourceContents) > 0 {
		return refuse("has a flag or a here-document", "COPY --chmod=MODE file /target")
	}
	if len(c.SourcePaths) != 1 || !path.IsAbs(c.DestPath) || path.Clean(c.DestPath) != c.DestPath || c.DestPath == "/" {
		return refuse("does not name one file and its full path in the image", "COPY --chmod=MODE file /target")
	}
	bits, err := strconv.ParseUint(c.Chmod, 8, 9) // 0777
	if err != nil {
		return refuse("has no octal --chmod", "COPY --chmod=0755 or 0644: otherwise the mode depends on the builder's umask")
	}
	mode := int64(bits)
	f := s.build.file(c.SourcePaths[0], c.DestPath, mode)
	if problem := s.tree.add(f.target, line(c.Location())); problem != "" {
		return refuse(problem, "a path of printable ASCII that no other COPY uses")
	}
	size, err := f.size()
	if err != nil {
		return refuse(err.Error(), "a regular file inside the build context")
	}
	if s.room.spend(size, len(parents(f.target))) != nil {
		return refuse(fmt.Sprintf("to %q: an image holds at most %d files and folders, those above each file among them, "+
			"and %d bytes", f.target, maxFiles, maxBytes), "less in the image: it is read back within these bounds")
	}
	layer, err := s.build.layer(f)
	if err != nil {
		return refuse(err.Error(), "a regular file inside the build context")
	}
	s.modes[c.DestPath] = mode
	s.layers = append(s.layers, mutate.Addendum{Layer: layer, MediaType: types.OCILayer,
		History: v1.History{Created: v1.Time{Time: s.build.Epoch}, CreatedBy: c.String()}})
	return nil
}

// tree is what the layers of an image hold: the line whose COPY put it there, by path. A folder ends with a slash.
type tree map[string]int

// add puts a file into the tree, or says why no layer can put it there. What a
// layer says amiss, or hides of another, nobody would see before the image is read back.
func (t tree) add(target string, line int) string {
	switch _, err := (fileLayer{target: target}).headers(0); {
	case err != nil || strings.ContainsFunc(target, func(r rune) bool { return r < ' ' || r > '~' }):
		return fmt.Sprintf("to %q: a layer cannot say this path", target)
	case strings.HasPrefix(target, ".wh.") || strings.Contains(target, "/.wh."):
		return fmt.Sprintf("to %q: a name that begins with .wh. deletes a file of another layer", target)
	case t[target] > 0 || t[target+"/"] > 0:
		return fmt.Sprintf("to %q: line %d has put something there", target, max(t[target], t[target+"/"]))
	}
	for _, folder := range parents(target) {
		if t[folder] > 0 {
			return fmt.Sprintf("to %q: line %d has put a file where its folder must be", target, t[folder])
		}
		t[folder+"/"] = line
	}
	t[target] = line
	return ""
}
