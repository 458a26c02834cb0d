package guard

import (
	"regexp"
	"strconv"
	"strings"
)

// The names of guard 4. GitHub's contexts ignore case (vars.allowed_mrtd reads
// ALLOWED_MRTD), and so may what reads an environment; in plain text
// allowed_mrtd is a field of the policy file. So case is ignored where a name is
// set or looked up, and minded elsewhere.
const specNames = `ALLOWED_(?:MRTD|RTMR[0-9]|TCB_STATUS(?:ES)?)`

var (
	mention     = regexp.MustCompile(`(?:^|[^A-Za-z0-9_])(ALLOWED_[A-Z0-9_]*)`)
	wholeName   = regexp.MustCompile(`(?:^|[^A-Za-z0-9_])(` + specNames + `)(?:[^A-Za-z0-9_]|$)`)
	specKey     = regexp.MustCompile(`(?i)^` + specNames + `$`)
	lookedUp    = regexp.MustCompile(`(?i)(?:^|\W)(` + specNames + `|(?:vars|env|secrets)\s*(?:\.|\[\s*')\s*ALLOWED_\w*)`)
	assigned    = regexp.MustCompile(`(?im)(?:^|[\s"',;=({\[])(ALLOWED_[A-Za-z0-9_]*)["']?(?:[+:?]?=|<<)`)
	declared    = regexp.MustCompile(`(?im)^\s*(?:ENV|ARG|export)\s+(?:[^\s=]+=\S*\s+)*["']?(ALLOWED_[A-Za-z0-9_]*)`)
	expression  = regexp.MustCompile(`(?s)\$\{\{.*?\}\}`)
	fileOfNames = regexp.MustCompile(`(?i)\bgithub\s*(?:\.\s*|\[\s*')env\b|\benv\s*(?:\.\s*|\[\s*')GITHUB_ENV\b`)
	anyContext  = regexp.MustCompile(`(?i)\b(?:vars|env|secrets|inputs|github)\s*\[\s*[^'\s]|` +
		`toJSON\(\s*(?:vars|env|secrets)\s*\)`)
	halfName  = regexp.MustCompile(`(?:^|[^A-Za-z0-9_])ALLOWED_?(?:[^A-Za-z0-9_]|$)`)
	otherHalf = regexp.MustCompile(`\}\}_?(?:MRTD|RTMR[0-3]|TCB_STATUS)\b`)
)

func startsAllowed(name string) bool {
	return len(name) >= len("ALLOWED_") && strings.EqualFold(name[:len("ALLOWED_")], "ALLOWED_")
}

var (
	joints  = regexp.MustCompile("[\"'`][ \\t]*[+~.]?[ \\t]*[\"'`]")
	quotes  = strings.NewReplacer("\\\n", "", "`\n", "", `"`, "", `'`, "", "`", "", `\`, "")
	escapes = regexp.MustCompile(`\\(?:x([0-9A-Fa-f]{2})|u\{?([0-9A-Fa-f]{4,6})\}?|U([0-9A-Fa-f]{8})|0?([0-7]{3}))`)
)

// spellings are what a text can stand for: as it is, with its pieces put
// together ("ALLO" + "WED_MRTD", AL"LOWED"_MRTD), and with its escapes decoded.
func spellings(text string) []string {
	out := []string{text}
	if decoded := escapes.ReplaceAllStringFunc(text, unescape); decoded != text {
		out = append(out, decoded)
	}
	for _, t := range out {
		if joined := quotes.Replace(joints.ReplaceAllString(t, "")); joined != t {
			out = append(out, joined)
		}
	}
	return out
}

func unescape(e string) string {
	m := escapes.FindStringSubmatch(e)
	base := 16
	if m[4] != "" {
		base = 8
	}
	n, err := strconv.ParseUint(m[1]+m[2]+m[3]+m[4], base, 32)
	if err != nil {
		return e
	}
	return string(rune(n)) //nolint:gosec // 8 digits at most; what is no character becomes U+FFFD
}

// nameIn is the name that one of the forms finds in a spelling of the text.
func nameIn(text string, forms ...*regexp.Regexp) string {
	for _, spelling := range spellings(text) {
		for _, form := range forms {
			if m := form.FindStringSubmatch(spelling); m != nil {
				return m[1]
			}
		}
	}
	return ""
}

// A comment fills a line, or ends one and holds no quotes: within quotes "#" begins nothing.
var comment = regexp.MustCompile("(?m)^[ \\t]*(?:#|//).*$|[ \\t](?:#|//)[^\"'`\\n]*$")

// code is how a program of another language reaches the environment, or text that nobody has written.
var code = regexp.MustCompile(`(?i)env|process|export|exec|spawn|system|popen|eval|import\s*\(|importlib|getattr|` +
	`compile|\bchr\b|fromCharCode|decode|base64|__|_runner_file|\bcore\s*\[|\bctypes\b|\biex\b|Start-`)

// text judges what is no YAML and no shell script, line by line.
func (j *judgement) text(at string, line int, text string) {
	forms := []*regexp.Regexp{wholeName}
	if !programs.MatchString(j.file.Path) {
		forms = []*regexp.Regexp{wholeName, assigned, declared}
	}
	for i, l := range strings.Split(comment.ReplaceAllString(text, ""), "\n") {
		if name := nameIn(l, forms...); name != "" {
			j.add(line+i, "%s in %s", name, at)
			return
		}
	}
	if whole := comment.ReplaceAllString(text, ""); nameIn(whole, wholeName) != "" {
		j.add(line, "%s in %s", nameIn(whole, wholeName), at)
	}
}

// foreign judges a program of a language that is not followed.
func (j *judgement) foreign(at string, line int, language, text string) {
	j.text(at, line, text)
	if m := code.FindString(comment.ReplaceAllString(text, "")); m != "" {
		j.cannot(line, "%s program in %s, which can set variables (%q)", language, at, m)
	}
}

var programs = regexp.MustCompile(`\.(?:go|py|js|mjs|cjs|ts|rb|pl|ps1|psm1|rs|c)$`)
