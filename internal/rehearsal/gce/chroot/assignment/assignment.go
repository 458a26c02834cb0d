// Package assignment reads files of shell-compatible assignments, such as
// /etc/default/grub and os-release, without a shell.
//
// Its promise: a value that it returns is what a POSIX shell that sources the
// file would set; a file that does anything but assign is refused; nothing is
// ever run.
package assignment

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// MaxSize bounds a file.
const MaxSize = 64 << 10

// Variables are the values that a shell would have after sourcing files.
type Variables struct {
	values  map[string]string
	unknown map[string]bool // their value comes from a command, which is not run
}

// Parse reads text as if it was sourced after what v holds already. On an
// error v is unchanged.
func (v *Variables) Parse(text []byte) error {
	if len(text) > MaxSize {
		return fmt.Errorf("%d bytes: more than %d", len(text), MaxSize)
	}
	if bytes.IndexByte(text, 0) >= 0 {
		return errors.New("a NUL, which no shell can hold")
	}
	s := &scanner{text: string(text), vars: Variables{maps.Clone(v.values), maps.Clone(v.unknown)}}
	if s.vars.values == nil {
		s.vars = Variables{map[string]string{}, map[string]bool{}}
	}
	for s.next() {
		if err := s.assign(); err != nil {
			return fmt.Errorf("line %d: %w", 1+strings.Count(s.text[:s.at], "\n"), err)
		}
	}
	*v = s.vars
	return nil
}

// Get is the variable's value, empty when it was never set. A value that only
// a command could tell is an error.
func (v *Variables) Get(name string) (string, error) {
	if v.unknown[name] {
		return "", fmt.Errorf("%s is set by a command, and no command is run to read it", name)
	}
	return v.values[name], nil
}

func (v *Variables) set(name string, w word) {
	v.values[name] = w.text.String()
	if w.unknown {
		v.unknown[name] = true
		return
	}
	delete(v.unknown, name)
}
