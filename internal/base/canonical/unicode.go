package canonical

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Unicode refuses text that encoding/json would replace by U+FFFD, so that two texts could become one: bytes that are
// not UTF-8, and half of a surrogate pair. The data is valid JSON otherwise.
func Unicode(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("not UTF-8")
	}
	for i := 0; i < len(data); i++ {
		if data[i] != '\\' {
			continue
		}
		i++ // what is escaped; valid JSON has something there
		r := escaped(data, i)
		if !utf16.IsSurrogate(r) {
			continue
		}
		if i+5 >= len(data) || data[i+5] != '\\' || utf16.DecodeRune(r, escaped(data, i+6)) == utf8.RuneError {
			return fmt.Errorf("half of a surrogate pair, at byte %d", i-1)
		}
		i += 10 // the rest of both escapes
	}
	return nil
}

// escaped is the character of an escape in hex digits whose u is at i, or 0.
func escaped(data []byte, i int) rune {
	if i+4 >= len(data) || data[i] != 'u' {
		return 0
	}
	n, err := strconv.ParseUint(string(data[i+1:i+5]), 16, 16)
	if err != nil {
		return 0
	}
	return rune(n)
}
