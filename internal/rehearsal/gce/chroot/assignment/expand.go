package assignment

import (
	"errors"
	"fmt"
	"strings"
)

// escape reads a backslash. Inside double quotes it only escapes what special
// names, and stands for itself before anything else.
func (s *scanner) escape(w *word, special string) error {
	if s.at+1 == len(s.text) {
		return errors.New("a backslash ends the file")
	}
	c := s.text[s.at+1]
	s.at += 2
	if special != "" && strings.IndexByte(special, c) < 0 {
		w.text.WriteByte('\\')
	}
	if c != '\n' { // an escaped line end joins the lines
		w.text.WriteByte(c)
	}
	return nil
}

// plain reads one character, a variable, or a command.
func (s *scanner) plain(w *word) error {
	switch c := s.text[s.at]; c {
	case '`':
		return s.command(w)
	case '$':
		return s.variable(w)
	default:
		w.text.WriteByte(c)
		s.at++
		return nil
	}
}

// command skips `…`, as in Debian's GRUB_DISTRIBUTOR: the value is unknown.
func (s *scanner) command(w *word) error {
	for s.at++; s.at < len(s.text); s.at++ {
		switch s.text[s.at] {
		case '\\':
			s.at++
		case '`':
			s.at++
			w.unknown = true
			return nil
		}
	}
	s.at = len(s.text)
	return errUnterminated
}

// variable reads $NAME or ${NAME}.
func (s *scanner) variable(w *word) error {
	s.at++
	braces := s.at < len(s.text) && s.text[s.at] == '{'
	if braces {
		s.at++
	}
	name := s.name()
	if name == "" {
		return errors.New("after a $ only the name of a variable is read here")
	}
	if braces {
		if s.at == len(s.text) || s.text[s.at] != '}' {
			return fmt.Errorf("${%s…: only ${NAME} is read here", name)
		}
		s.at++
	}
	w.text.WriteString(s.vars.values[name])
	w.unknown = w.unknown || s.vars.unknown[name]
	return nil
}
