package apt

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// Lines reads the one-line format: deb [option=value …] uri suite component….
func Lines(text []byte) ([]Source, error) {
	var out []Source
	in := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; in.Scan(); number++ {
		code, _, _ := strings.Cut(in.Text(), "#")
		if strings.TrimSpace(code) == "" {
			continue
		}
		s, err := oneLine(code)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		out = append(out, s)
	}
	return out, in.Err()
}

func oneLine(text string) (Source, error) {
	kind, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(text, "\t", " ")), " ")
	s := Source{Types: []string{kind}}
	rest = strings.TrimSpace(rest)
	if after, ok := strings.CutPrefix(rest, "["); ok {
		options, uri, closed := strings.Cut(after, "]")
		if !closed {
			return s, fmt.Errorf("%q: the options do not end", text)
		}
		for _, o := range strings.Fields(options) {
			name, value, _ := strings.Cut(o, "=")
			s.field(name, value)
		}
		rest = uri
	}
	words := strings.Fields(rest)
	if len(words) < 2 {
		return s, fmt.Errorf("%q: a source has a URI and a suite", text)
	}
	s.URIs, s.Suites, s.Components = words[:1], words[1:2], words[2:]
	return s, nil
}

// Stanzas reads the deb822 format.
func Stanzas(text []byte) ([]Source, error) {
	var out []Source
	fields := map[string]string{}
	last := ""
	end := func() {
		if len(fields) > 0 {
			out = append(out, stanza(fields))
		}
		fields, last = map[string]string{}, ""
	}
	in := bufio.NewScanner(bytes.NewReader(text))
	for number := 1; in.Scan(); number++ {
		l := in.Text()
		name, value, isField := strings.Cut(l, ":")
		switch {
		case strings.HasPrefix(l, "#"):
		case strings.TrimSpace(l) == "":
			end()
		case strings.ContainsAny(l[:1], " \t") && last != "":
			fields[last] += "\n" + strings.TrimSpace(l)
		case isField && !strings.ContainsAny(l[:1], " \t"):
			last = strings.ToLower(strings.TrimSpace(name))
			fields[last] = strings.TrimSpace(value)
		default:
			return nil, fmt.Errorf("line %d: %q is not a field", number, l)
		}
	}
	end()
	return out, in.Err()
}

func stanza(fields map[string]string) Source {
	s := Source{
		Types: strings.Fields(fields["types"]), URIs: strings.Fields(fields["uris"]),
		Suites: strings.Fields(fields["suites"]), Components: strings.Fields(fields["components"]),
	}
	for _, name := range []string{"signed-by", "enabled", "trusted"} {
		if value, ok := fields[name]; ok {
			s.field(name, value)
		}
	}
	return s
}

// field is an option of either format.
func (s *Source) field(name, value string) {
	switch strings.ToLower(name) {
	case "signed-by":
		s.SignedBy = value
	case "enabled":
		s.disabled = !yes(value)
	case "trusted":
		s.trusted = yes(value)
	}
}

// yes reads a boolean as apt's StringToBool does.
func yes(value string) bool {
	switch strings.ToLower(value) {
	case "no", "false", "without", "off", "disable", "0":
		return false
	}
	return true
}
