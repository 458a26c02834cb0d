package systemd

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// What introduces a specifier, and what a variable in a command line.
const (
	percent = "%"
	dollar  = "$"
)

// splitter takes a setting's value apart as systemd does: blanks separate,
// quotes keep together, backslashes are C's.
type splitter struct {
	in      string
	doubled string // these stand for themselves when doubled, and are refused alone
	quote   byte
	word    strings.Builder
	inWord  bool
	out     []string
}

func split(value, doubled string) ([]string, error) {
	s := &splitter{in: value, doubled: doubled}
	for s.in != "" {
		c := s.in[0]
		s.in = s.in[1:]
		if err := s.char(c); err != nil {
			return nil, err
		}
	}
	if s.quote != 0 {
		return nil, errors.New("a quotation does not end")
	}
	s.end()
	return s.out, nil
}

func (s *splitter) char(c byte) error {
	switch {
	case s.quote == 0 && (c == ' ' || c == '\t'):
		s.end()
		return nil
	case s.quote == 0 && c == ';' && !s.inWord && (s.in == "" || s.in[0] == ' '):
		return errors.New("several commands in one setting are not supported here")
	case s.quote == 0 && (c == '"' || c == '\''):
		s.quote, s.inWord = c, true
		return nil
	case s.quote == c:
		s.quote = 0
		return nil
	}
	s.inWord = true
	if c == '\\' {
		return s.escape()
	}
	if strings.IndexByte(s.doubled, c) >= 0 {
		if s.in == "" || s.in[0] != c {
			return fmt.Errorf("what %q introduces is not supported here", c)
		}
		s.in = s.in[1:]
	}
	s.word.WriteByte(c)
	return nil
}

func (s *splitter) end() {
	if s.inWord {
		s.out = append(s.out, s.word.String())
	}
	s.word.Reset()
	s.inWord = false
}

// escape reads what follows a backslash: systemd.syntax(7), "Quoting".
func (s *splitter) escape() error {
	if s.in == "" {
		return errors.New("a backslash ends the setting")
	}
	c := s.in[0]
	if i := strings.IndexByte(`abfnrtv\"'s`, c); i >= 0 {
		s.word.WriteByte("\a\b\f\n\r\t\v\\\"' "[i])
		s.in = s.in[1:]
		return nil
	}
	digits, base, length := s.in, 8, 3
	if c == 'x' {
		digits, base, length = s.in[1:], 16, 2
	}
	if len(digits) < length {
		return fmt.Errorf("the escape \\%s is cut short", s.in)
	}
	b, err := strconv.ParseUint(digits[:length], base, 8)
	if err != nil || b == 0 {
		return fmt.Errorf("no escape \\%c", c)
	}
	s.word.WriteByte(byte(b))
	s.in = digits[length:]
	return nil
}
