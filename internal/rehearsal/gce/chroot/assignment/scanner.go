package assignment

import (
	"errors"
	"fmt"
	"strings"
)

// scanner walks over the text of one file.
type scanner struct {
	text string
	at   int
	vars Variables
}

// word is a value being put together.
type word struct {
	text    strings.Builder
	unknown bool
}

var errUnterminated = errors.New("a quotation does not end")

// next skips blanks, line ends and comments; false at the end of the text.
func (s *scanner) next() bool {
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case strings.IndexByte(" \t\n;", c) >= 0:
			s.at++
		case c == '#':
			end := strings.IndexByte(s.text[s.at:], '\n')
			if end < 0 {
				s.at = len(s.text)
				return false
			}
			s.at += end
		default:
			return true
		}
	}
	return false
}

// assign reads NAME=value.
func (s *scanner) assign() error {
	name := s.name()
	if name == "export" && s.at < len(s.text) && s.text[s.at] == ' ' {
		s.at++
		name = s.name()
	}
	if name == "" || s.at == len(s.text) || s.text[s.at] != '=' {
		return errors.New("not an assignment NAME=value, and nothing else is read here")
	}
	s.at++
	var w word
	if err := s.value(&w); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	s.vars.set(name, w)
	return nil
}

// name reads a variable's name.
func (s *scanner) name() string {
	start := s.at
	for s.at < len(s.text) && nameByte(s.text[s.at], s.at == start) {
		s.at++
	}
	return s.text[start:s.at]
}

func nameByte(c byte, first bool) bool {
	return c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || !first && c >= '0' && c <= '9'
}

// value reads up to an unquoted blank or line end.
func (s *scanner) value(w *word) error {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case strings.IndexByte(" \t\n;", c) >= 0:
			return nil
		case c == '\'':
			if err := s.single(w); err != nil {
				return err
			}
		case c == '"':
			if err := s.double(w); err != nil {
				return err
			}
		case c == '\\':
			if err := s.escape(w, ""); err != nil {
				return err
			}
		case strings.IndexByte("~()<>&|\r", c) >= 0:
			return fmt.Errorf("%q outside quotes means something to a shell", c)
		default:
			if err := s.plain(w); err != nil {
				return err
			}
		}
	}
	return nil
}

// single reads '…'.
func (s *scanner) single(w *word) error {
	end := strings.IndexByte(s.text[s.at+1:], '\'')
	if end < 0 {
		return errUnterminated
	}
	w.text.WriteString(s.text[s.at+1 : s.at+1+end])
	s.at += end + 2
	return nil
}

// double reads "…".
func (s *scanner) double(w *word) error {
	for s.at++; s.at < len(s.text); {
		var err error
		switch s.text[s.at] {
		case '"':
			s.at++
			return nil
		case '\\':
			err = s.escape(w, "$`\"\\\n")
		default:
			err = s.plain(w)
		}
		if err != nil {
			return err
		}
	}
	return errUnterminated
}
