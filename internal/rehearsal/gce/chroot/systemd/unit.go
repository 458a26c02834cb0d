// Package systemd reads the one-shot services that an image enables.
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
	User                    string     // empty: root
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
	if strings.HasPrefix(key, "Condition") || strings.HasPrefix(key, "Assert") {
		return unsupported(key)
	}
	switch key {
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
	case "ExecStartPre", "ExecStartPost", "ExecCondition", "EnvironmentFile", "PassEnvironment", "UnsetEnvironment",
		"Group", "SupplementaryGroups", "DynamicUser", "WorkingDirectory", "RootDirectory", "RootImage", "StandardInput":
		return unsupported(key)
	}
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
