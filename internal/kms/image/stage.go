package image

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// stage executes the commands of one image.
type stage struct {
	build  *builder
	file   *dockerfile
	vars   *variables
	config v1.Config
	layers []mutate.Addendum
}

// defaultPath is what BuildKit and buildah set in an image from scratch.
const defaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

func newStage(b *builder, file *dockerfile, args map[string]string) *stage {
	return &stage{build: b, file: file,
		vars: &variables{lex: shell.NewLex(file.escape), given: args, values: map[string]string{}},
		config: v1.Config{Env: []string{defaultPath}, WorkingDir: "/",
			Labels: map[string]string{}, ExposedPorts: map[string]struct{}{}}}
}

// apply executes one command; what goes wrong is told with its line.
func (s *stage) apply(c instructions.Command) error {
	if e, ok := c.(instructions.SupportsSingleWordExpansion); ok {
		if err := e.Expand(s.vars.expand); err != nil {
			return s.file.refuse(line(c.Location()), strings.ToUpper(c.Name()), err.Error(), "variables that an ARG gives a value")
		}
	}
	switch c := c.(type) {
	case *instructions.ArgCommand:
		s.vars.declare(c)
	case *instructions.CopyCommand:
		return s.copy(c)
	case *instructions.LabelCommand:
		for _, label := range c.Labels {
			s.config.Labels[label.Key] = label.Value
		}
	case *instructions.UserCommand:
		s.config.User = c.User
	case *instructions.ExposeCommand:
		return s.expose(c)
	case *instructions.EntrypointCommand:
		if c.PrependShell {
			return s.file.refuse(line(c.Location()), "ENTRYPOINT", "needs a shell", `the JSON form, ["/program"]`)
		}
		s.config.Entrypoint = c.CmdLine
	default:
		return s.file.refuse(line(c.Location()), strings.ToUpper(c.Name()), "is not supported", "one of "+strings.Join(supported, ", "))
	}
	return nil
}

var portForm = regexp.MustCompile(`^[1-9][0-9]{0,4}(/(tcp|udp))?$`)

func (s *stage) expose(c *instructions.ExposeCommand) error {
	for _, port := range c.Ports {
		if !portForm.MatchString(port) {
			return s.file.refuse(line(c.Location()), "EXPOSE", fmt.Sprintf("of %q is not a port", port), "a number, /tcp or /udp")
		}
		if !strings.Contains(port, "/") {
			port += "/tcp"
		}
		s.config.ExposedPorts[port] = struct{}{}
	}
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
	mode, err := strconv.ParseInt(c.Chmod, 8, 16)
	if err != nil || mode < 0 || mode > 0o777 {
		return refuse("has no octal --chmod", "COPY --chmod=0755 or 0644: otherwise the mode depends on the builder's umask")
	}
	layer, err := s.build.layer(c.SourcePaths[0], c.DestPath, mode)
	if err != nil {
		return refuse(err.Error(), "a regular file inside the build context")
	}
	s.layers = append(s.layers, mutate.Addendum{Layer: layer, MediaType: types.OCILayer,
		History: v1.History{Created: v1.Time{Time: s.build.Epoch}, CreatedBy: c.String()}})
	return nil
}
