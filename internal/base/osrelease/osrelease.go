// Package osrelease reads os-release(5), in which a system says what it is.
//
// Its promise: what it returns is what a shell would assign, and nobody who reads
// the file otherwise can be shown another system. It takes plain values alone:
// a variable twice, an expansion, an escape or a character that does not print
// is refused by its line.
package osrelease

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxSize is more than any os-release has, in bytes.
const maxSize = 16 << 10

// assignment is a line: of quoted values those that say what they mean.
var assignment = regexp.MustCompile("^([A-Z][A-Z0-9_]*)=(?:([-+A-Za-z0-9._:/]*)|\"([^\"$`\\\\]*)\"|'([^']*)')$")

// Parse gives the variables by their names, without quotes.
func Parse(text string) (map[string]string, error) {
	if len(text) > maxSize {
		return nil, fmt.Errorf("more than %d bytes", maxSize)
	}
	if !utf8.ValidString(text) {
		return nil, fmt.Errorf("not UTF-8")
	}
	out := map[string]string{}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return nil, fmt.Errorf("line %d: a character that does not print", i+1)
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := assignment.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("line %d: not an assignment of a plain value", i+1)
		}
		if _, twice := out[m[1]]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", i+1, m[1])
		}
		out[m[1]] = m[2] + m[3] + m[4]
	}
	return out, nil
}
