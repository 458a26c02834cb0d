package systemd

import "strings"

type line struct {
	text   string
	number int
}

// lines joins continued lines and leaves comments out: "Lines ending in a
// backslash are concatenated with the following non-comment line while
// reading and the backslash is replaced by a space character."
func lines(text string) []line {
	var out []line
	continued := false
	for i, raw := range strings.Split(text, "\n") {
		raw = strings.TrimSpace(raw)
		if strings.HasPrefix(raw, "#") || strings.HasPrefix(raw, ";") {
			continue
		}
		body, more := strings.CutSuffix(raw, `\`)
		switch {
		case continued:
			out[len(out)-1].text += " " + body
		case raw != "":
			out = append(out, line{body, i + 1})
		}
		continued = more && (continued || raw != "")
	}
	return out
}
