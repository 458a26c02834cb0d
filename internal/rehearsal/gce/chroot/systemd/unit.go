// Package systemd reads the services that an image enables.
//
// Its promise: what it returns runs as systemd.service(5) and systemd.unit(5)
// say, in an order that After= and Before= allow; a unit that asks for
// something this package cannot do, and that would change whether or what it
// runs, is refused with the name of the setting. Settings that only confine a
// service, or say how long it may take, change neither and are not applied.
package systemd

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/unit"
)

// MaxUnitSize bounds a unit file.
const MaxUnitSize = 64 << 10

// Service is one service of an image.
type Service struct {
	Name                    string // of the unit file
	Type                    string
	After, Before, Requires []string
	Commands                [][]string // the arguments of each ExecStart=
	Environment             []string   // NAME=value
	User                    string     // empty: root, or with DynamicUser one of the unit's name
	DynamicUser             bool       // User is made for the service, and owns its state
	State                   []string   // folders in /var/lib
	StateMode               string     // of them, octal; empty: 0755
	EnvironmentFiles        []string   // that are there only on machines for which the unit is not meant
	Conditions              []string   // ConditionPathExists=
	Early                   bool       // DefaultDependencies=no
	Err                     error      // why it cannot run; the rest may be incomplete
}

// comments are left out before continued lines are joined, as systemd does it:
// go-systemd takes one between them for their continuation.
var comments = regexp.MustCompile(`(?m)^[ \t]*[#;].*\n?`)

// Parse reads a unit file.
func Parse(name string, text []byte) (*Service, error) {
	if len(text) > MaxUnitSize {
		return nil, fmt.Errorf("%s: %d bytes, more than %d", name, len(text), MaxUnitSize)
	}
	if !utf8.Valid(text) || bytes.ContainsAny(text, "\x00\r") {
		return nil, fmt.Errorf("%s: not text in UTF-8 with lines that end in \\n", name)
	}
	text = append(comments.ReplaceAll(text, nil), '\n')
	if begin := bytes.TrimSpace(text); len(begin) > 0 && begin[0] != '[' { // go-systemd passes over it
		return nil, fmt.Errorf("%s: %.40q is not a setting in a section", name, begin)
	}
	sections, err := unit.DeserializeSections(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s := &Service{Name: name, Type: "simple"}
	for _, section := range sections {
		if section.Section == "" || strings.Contains(section.Section, "\n") {
			return nil, fmt.Errorf("%s: %q is not the name of a section", name, section.Section)
		}
		for _, setting := range section.Entries {
			value := strings.TrimSpace(strings.ReplaceAll(setting.Value, "\\\n", " "))
			if err := s.set(section.Section, setting.Name, value); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	if !slices.Contains([]string{"oneshot", "simple", "exec"}, s.Type) {
		return nil, fmt.Errorf("%s: Type=%s is not supported here", name, s.Type)
	}
	if !s.Early { // "Service units will have dependencies of type Requires= and After= on sysinit.target"
		s.After = append(s.After, "sysinit.target")
	}
	return s, nil
}

func (s *Service) set(section, key, value string) error {
	switch section {
	case "Unit":
		return s.unit(key, value)
	case "Service":
		return s.service(key, value)
	}
	return nil
}

func (s *Service) unit(key, value string) error {
	switch key {
	case "ConditionPathExists":
		return s.condition(value)
	case "After":
		extend(&s.After, strings.Fields(value))
	case "Before":
		extend(&s.Before, strings.Fields(value))
	case "Requires":
		extend(&s.Requires, strings.Fields(value))
	case "DefaultDependencies":
		s.Early = slices.Contains([]string{"no", "false", "n", "f", "off", "0"}, strings.ToLower(value))
	case "Requisite", "BindsTo":
		return unsupported(key)
	}
	if strings.HasPrefix(key, "Condition") || strings.HasPrefix(key, "Assert") {
		return unsupported(key)
	}
	return nil
}

// condition takes the plain form: a path that has to be there.
func (s *Service) condition(value string) error {
	if value == "" {
		s.Conditions = nil
		return nil
	}
	if !strings.HasPrefix(value, "/") || strings.Contains(value, "%") {
		return fmt.Errorf("ConditionPathExists=%s is not supported here", value)
	}
	s.Conditions = append(s.Conditions, value)
	return nil
}

// service is a setting of [Service].
func (s *Service) service(key, value string) error {
	switch key {
	case "Type":
		s.Type = value
	case "User":
		s.User = value
	case "ExecStart":
		return s.command(value)
	case "Environment":
		words, err := split(value, percent)
		if err != nil {
			return err
		}
		extend(&s.Environment, words)
		return s.checkEnvironment()
	case "EnvironmentFile":
		if !strings.HasPrefix(value, "-/") {
			return unsupported(key)
		}
		s.EnvironmentFiles = append(s.EnvironmentFiles, value[1:])
	case "DynamicUser", "StateDirectory", "StateDirectoryMode":
		return s.state(key, value)
	case "ExecStartPre", "ExecStartPost", "ExecCondition", "PassEnvironment", "UnsetEnvironment", "Group",
		"SupplementaryGroups", "WorkingDirectory", "RootDirectory", "RootImage", "StandardInput", "RuntimeDirectory",
		"CacheDirectory", "LogsDirectory", "ConfigurationDirectory", "TemporaryFileSystem",
		"BindReadOnlyPaths", "LoadCredential", "SetCredential", "ImportCredential", "PAMName":
		return unsupported(key)
	case "BindPaths":
		if !strings.HasPrefix(value, "-/dev/") || strings.ContainsAny(value, " :") { // a device, which no machine here has
			return fmt.Errorf("BindPaths=%s is not supported here", value)
		}
	}
	return nil
}

var (
	stateName = regexp.MustCompile(`^[a-z][-a-z0-9_]*$`)
	stateMode = regexp.MustCompile(`^0?[0-7]{3}$`)
)

// state is what a service has of its own: a user, and folders in /var/lib.
func (s *Service) state(key, value string) error {
	switch key {
	case "DynamicUser":
		s.DynamicUser = slices.Contains([]string{"yes", "true", "y", "t", "on", "1"}, strings.ToLower(value))
		return nil
	case "StateDirectoryMode":
		if s.StateMode = value; !stateMode.MatchString(value) {
			return fmt.Errorf("StateDirectoryMode=%s is not supported here", value)
		}
		return nil
	}
	for _, name := range strings.Fields(value) {
		if !stateName.MatchString(name) {
			return fmt.Errorf("StateDirectory=%s is not supported here", name)
		}
	}
	extend(&s.State, strings.Fields(value))
	return nil
}

// command is one ExecStart=; an empty one takes back the ones before.
func (s *Service) command(value string) error {
	if value == "" {
		s.Commands = nil
		return nil
	}
	if strings.ContainsRune("@-:+!|", rune(value[0])) {
		return fmt.Errorf("ExecStart=%s: the prefix %q is not supported here", value, value[0])
	}
	words, err := split(value, percent+dollar)
	if err != nil {
		return fmt.Errorf("ExecStart=%s: %w", value, err)
	}
	if !strings.HasPrefix(words[0], "/") {
		return fmt.Errorf("ExecStart=%s: not the absolute path of a program", value)
	}
	s.Commands = append(s.Commands, words)
	return nil
}

func (s *Service) checkEnvironment() error {
	for _, pair := range s.Environment {
		if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
			return fmt.Errorf("%q in Environment= is not NAME=value", pair)
		}
	}
	return nil
}

// extend appends to a list; an assignment of nothing empties it.
func extend(list *[]string, words []string) {
	if len(words) == 0 {
		*list = nil
		return
	}
	*list = append(*list, words...)
}

func unsupported(key string) error {
	return errors.New(key + "= is not supported here")
}
