package guard

import (
	"go/scanner"
	"go/token"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Case is ignored where a name is set or looked up: GitHub's contexts ignore it
// (vars.allowed_mrtd reads ALLOWED_MRTD), and so may what reads an environment.
// It is minded elsewhere: in plain text allowed_mrtd is a field of the policy.
const specNames = `ALLOWED_(?:MRTD|RTMR[0-9]|TCB_STATUS(?:ES)?)`

// The forms in which a text names a variable; group 1 is the name.
var (
	mention   = regexp.MustCompile(`\b(ALLOWED_[A-Z0-9_]*)`)
	wholeName = regexp.MustCompile(`\b(` + specNames + `)\b`)
	specKey   = regexp.MustCompile(`(?i)^(` + specNames + `)$`)
	assigned  = regexp.MustCompile(`(?im)(?:^|[\s"',;=({\[])(ALLOWED_\w*)["']?(?:[+:?]?=|<<)`)
	computes  = regexp.MustCompile(`(?im)^\s*(?:ONBUILD\s+)?(?:ENV|ARG|export)\s+` +
		`(?:[^\s=$]+=\S*\s+)*["']?(\w*\$[^\s=]*)|` +
		`environment_vars\s*=\s*\[[^\]]*?"([^"=\]]*\$\{[^"=\]]*)=`)
	declared = regexp.MustCompile(`(?im)^\s*(?:ENV|ARG|export)\s+(?:[^\s=]+=\S*\s+)*["']?(ALLOWED_\w*)`)
	lookedUp = regexp.MustCompile(`(?i)(?:^|\W)(` + specNames + `|` + contextOf + `ALLOWED_\w*)`)
)

const contextOf = `(?:vars|env|secrets)\s*(?:\.|\[\s*')\s*` // what an expression looks a name up in

func startsAllowed(name string) bool {
	return len(name) >= len("ALLOWED_") && strings.EqualFold(name[:len("ALLOWED_")], "ALLOWED_")
}

// mayBecomeAllowed says whether a name that is put together may start with ALLOWED_ in the end.
func mayBecomeAllowed(name string) bool {
	computed := strings.IndexAny(name, "${"+hole)
	return computed >= 0 && strings.HasPrefix("ALLOWED_", strings.ToUpper(name[:computed]))
}

var (
	joints  = regexp.MustCompile("[\"'`][ \\t]*[+~.]?[ \\t]*[\"'`]")
	quotes  = strings.NewReplacer("\\\n", "", "`\n", "", `"`, "", `'`, "", "`", "", `\`, "")
	escapes = regexp.MustCompile(`\\(?:x\{?|u\{?0*|U0*)([2-7][0-9A-Fa-f])\}?|\\0?([01][0-7]{2})`)
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
	code, base := m[1], 16
	if m[2] != "" {
		code, base = m[2], 8
	}
	n, _ := strconv.ParseUint(code, base, 8) // the form holds digits of the base only
	return string(rune(n))
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

var (
	programs = regexp.MustCompile(`\.(?:go|py|js|mjs|cjs|ts|rb|pl|ps1|psm1|rs|c)$`)
	// A comment fills a line, or ends one and holds no quotes: within quotes "#" begins nothing.
	comment = regexp.MustCompile("(?m)^[ \\t]*(?:#|//).*$|[ \\t](?:#|//)[^\"'`\\n]*$")
	// How a program of another language reaches the environment, or text that nobody has written.
	reaches = regexp.MustCompile(`(?i)env|process|export|exec|spawn|system|popen|eval|import\s*\(|importlib|getattr|` +
		`compile|\bchr\b|fromCharCode|decode|base64|__|_runner_file|\bcore\s*\[|\bctypes\b|\biex\b|Start-`)
)

// text judges what is no YAML and no shell script: it may not name a variable
// of the spec, and where it is no program it may not set ALLOWED_ anything.
func (j *judgement) text(at string, line int, text string) {
	forms := []*regexp.Regexp{wholeName, assigned, declared}
	code := uncommented(j.file.Path, text)
	if programs.MatchString(j.file.Path) {
		forms = forms[:1]
	} else {
		for _, m := range computes.FindAllStringSubmatchIndex(code, -1) {
			from, to := max(m[2], m[4]), max(m[3], m[5])
			if mayBecomeAllowed(code[from:to]) {
				j.cannot(line+strings.Count(code[:from], "\n"), "a computed name in %s", at)
			}
		}
	}
	name := nameIn(code, forms...)
	if name == "" {
		return
	}
	named := func(l string) bool { return nameIn(l, forms...) != "" }
	j.add(line+max(0, slices.IndexFunc(strings.Split(code, "\n"), named)), name, at)
}

// uncommented is a text without its comments, by the syntax of its file; lines stay lines.
func uncommented(file, text string) string {
	switch {
	case strings.HasSuffix(file, ".go"):
		return withoutGoComments(text)
	case strings.HasSuffix(file, ".hcl"):
		tokens, _ := hclsyntax.LexConfig([]byte(text), file, hcl.InitialPos)
		for _, t := range tokens {
			if t.Type == hclsyntax.TokenComment {
				text = blanked(text, t.Range.Start.Byte, t.Range.End.Byte)
			}
		}
		return text
	case unitPath.MatchString(file):
		return unitComment.ReplaceAllString(text, "")
	}
	return comment.ReplaceAllString(text, "")
}

func withoutGoComments(text string) string {
	files := token.NewFileSet()
	f := files.AddFile("", -1, len(text))
	var s scanner.Scanner
	s.Init(f, []byte(text), nil, scanner.ScanComments)
	for {
		at, kind, literal := s.Scan()
		switch kind {
		case token.EOF:
			return text
		case token.COMMENT:
			text = blanked(text, f.Offset(at), min(len(text), f.Offset(at)+len(literal)))
		}
	}
}

// blanked is a text in which a part of each line is blank.
func blanked(text string, from, to int) string {
	return text[:from] + notNewline.ReplaceAllString(text[from:to], " ") + text[to:]
}

var (
	notNewline  = regexp.MustCompile(`[^\n]`)
	unitPath    = regexp.MustCompile(`\.(?:service|socket|timer|path|mount|target|conf)(?:\.j2)?$`) // systemd's
	unitComment = regexp.MustCompile(`(?m)^[ \t]*[#;].*$`)
)

// foreign judges a program of a language that is not followed.
func (j *judgement) foreign(at string, line int, text string) {
	j.text(at, line, text)
	if m := reaches.FindString(uncommented(j.file.Path, text)); m != "" {
		j.cannot(line, "a program in %s, which can set variables (%q)", at, m)
	}
}
