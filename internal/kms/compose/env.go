package compose

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// A line of a file of values. What compose's own reader would take for something else (quotes, a variable, an escape, a
// comment behind a value, blanks around it) is none, so that both read the same.
var envLine = regexp.MustCompile(
	`^([A-Za-z_][A-Za-z0-9_]*)=((?:` + plain + `(?:[ ` + plain[1:] + `*` + plain + `)?)?)$`)

// blanks end a line that another system wrote, too.
const blanks = " \t\r"

// plain is a visible character of ASCII but " $ ' \ and the backquote.
const plain = "[!#%&(-\\[\\]-_a-~]"

// ParseEnv reads lines NAME=VALUE, as compose's --env-file does, of printable
// ASCII: a variable once, without quotes, and a comment in a line of its own. An
// error has code Usage and names the line.
func ParseEnv(data []byte) (map[string]string, error) {
	out := map[string]string{}
	for i, line := range strings.Split(string(data), "\n") {
		line = strings.Trim(line, blanks)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		m := envLine.FindStringSubmatch(line)
		if m == nil || strings.HasPrefix(m[2], "#") || strings.Contains(m[2], " #") {
			return nil, notALine(i, line, "NAME=VALUE of printable ASCII, without quotes, dollars, backslashes and comments")
		}
		if _, twice := out[m[1]]; twice {
			return nil, notALine(i, line, "each variable once")
		}
		out[m[1]] = m[2]
	}
	return out, nil
}

func notALine(i int, line, expected string) error {
	return &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("line %d is no value of a variable", i+1),
		Expected: expected, Got: fmt.Sprintf("%.60q", line)}
}
