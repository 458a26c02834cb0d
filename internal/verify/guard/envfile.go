package guard

import (
	"regexp"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Clause 4. GITHUB_ENV sets variables for every later step. A script may append NAME=value lines
// to it, in which each NAME and the end of each line can be read; and it may look at it, where what
// it sees goes to nobody: what a step prints is its log, what a script prints may be its caller's.
// Whatever else leads to the file cannot be judged.
var (
	filling = fillingForms()
	looking = regexp.MustCompile(`^(?:echo|cat|ls|wc|head|tail|grep)(?: [^<>|;&()$]*)? ` + envTarget + `$`)
	testing = regexp.MustCompile(`^(?:test|\[|\[\[)(?: [^<>|;&()$]*)? ` + envTarget + `(?: \]{1,2})?$`)
	printed = regexp.MustCompile(`(?:\b|\\n)([A-Za-z_]\w*)(?:=|<<)`)
	route   = regexp.MustCompile(`\bGITHUB_ENV\b|::set-env|_runner|file_commands|\bset_env|` +
		`\bRUNNER_TEMP\}?/[^\s/]*[*?\[][^\s/]*/`) // a pattern for the folder in which it lies
)

const envTarget = `"?\$\{?GITHUB_ENV(?::[-?][\w/. -]*)?\}?"?`

// fillingForms match a statement as the shell package prints it: echo and printf, alone or as any
// sequence within a group or a choice, into the file or into tee; a here-document, likewise. What is
// expanded in them is judged by oneLined.
func fillingForms() *regexp.Regexp {
	const (
		name  = `[A-Za-z_]\w*=`
		bare  = "[^\\s\"'\\\\`<>|;&()]" // a character outside quotes
		quote = "[^\"\\\\`\\n]"         // a character within quotes
		plain = "'[^'\\\\\\n]*'|\\w[^\"'$\\\\`<>|;&(){}*?\\n]*"

		setting = `(?:"` + name + quote + `*"|'` + name + `[^'\\\n]*'|` + name + bare + `*)`
		echo    = `echo (?:"` + name + quote + `*"|` + name + bare + `*|` + plain + `)`
		printf  = `printf ["'](?:` + name + `(?:[^%"'\\\n]|%s)*\\n)+["'](?: "` + quote + `*"| ` + bare + `+)*`
		lined   = `printf ["']%s\\n["'](?: ` + setting + `)+`
		prints  = `(?:` + echo + `|` + printf + `|` + lined + `)`
		tests   = `(?:el)?if (?:\[|test|\[\[) [^\n;()&|]*`

		into     = `1?>{1,2}` + envTarget
		tee      = `\| tee (?:-a|--append) ` + envTarget + `(?: >/dev/null)?`
		sequence = `(?:\(?\s*(?:` + prints + `|` + tests + `|then|else|fi|[{}])\s*\)?[;\s]+)+(?:` + into + `|` + tee + `)`
		lines    = `\n(?:\t*` + name + "[^\\\\`\\n]*\\n)*\\t*\\w+"
		document = `cat (?:` + into + ` )?<<-?["']?\w+["']?(?: (?:` + into + `|` + tee + `))?` + lines
	)
	return regexp.MustCompile(`^(?:` + sequence + `|` + document + `)\n?$`)
}

// environmentFile judges what a part of a script does with GITHUB_ENV; shows says that nobody gets what it prints.
func (s *script) environmentFile(part syntax.Node, shows bool) {
	syntax.Walk(part, func(n syntax.Node) bool {
		handsOn, leads := false, false
		switch n := n.(type) {
		case *syntax.Stmt:
			text := source(n)
			if filling.MatchString(text) && s.oneLined(n) {
				for _, m := range printed.FindAllStringSubmatch(text, -1) {
					s.setting(n, m[1], handedOn)
				}
				return false
			}
			if testing.MatchString(text) || shows && looking.MatchString(text) {
				return false
			}
			handsOn = len(n.Redirs) > 0
		case *syntax.FuncDecl:
			handsOn = true
		case *syntax.BinaryCmd:
			handsOn = n.Op == syntax.Pipe || n.Op == syntax.PipeAll
		case *syntax.Assign:
			leads = n.Name != nil && n.Name.Value == "GITHUB_ENV"
		case *syntax.Redirect:
			leads = n.Word != nil && strings.Contains(source(n.Word), "${!")
		case *syntax.Word:
			leads = route.MatchString(quotes.Replace(source(n)))
		}
		if leads {
			s.cannot(s.lineOf(n), "GITHUB_ENV filled with what the file does not show in %s", s.at)
		}
		if handsOn && shows {
			s.environmentFile(n, false)
			return false
		}
		return !leads
	})
}

// What a reference looks at, and the variables that GitHub sets by itself and that cannot hold a newline.
// The name of a workflow can.
var (
	parameter = regexp.MustCompile(`^\$\{?([A-Za-z_]\w*)(?:[#%^,:/][^{}$"\\\n]*)?\}?$`)
	variables = regexp.MustCompile(`^(?:GITHUB_(?:ENV|SHA|REF|REF_NAME|REF_TYPE|HEAD_REF|BASE_REF|REPOSITORY|ACTOR|` +
		`REPOSITORY_OWNER|RUN_ID|RUN_NUMBER|RUN_ATTEMPT|JOB|WORKSPACE|EVENT_NAME|SERVER_URL|API_URL)|` +
		`RUNNER_(?:OS|ARCH|NAME|TEMP|TOOL_CACHE|ENVIRONMENT)|HOME|PWD)$`)
)

// oneLined says whether all that is expanded in a statement is known to be one line.
func (s *script) oneLined(n syntax.Node) bool {
	known := true
	syntax.Walk(n, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CmdSubst, *syntax.ProcSubst, *syntax.ArithmExp:
			known = false
		case *syntax.ParamExp:
			m := parameter.FindStringSubmatch(source(n))
			known = known && m != nil && s.givenOneLine(m[1])
		case *syntax.Lit, *syntax.SglQuoted:
			known = known && !strings.Contains(source(n), unknown)
		}
		return known
	})
	return known
}

var (
	proseLine = regexp.MustCompile(`(?m)^[ \t-]*(?:name|run-name|description):[ \t].*$`)
	lookedAt  = regexp.MustCompile(`\$\{?[#!]?$`)
	defaulted = regexp.MustCompile(`^:?=`)                                     // ${NAME:=value} gives it one
	listed    = regexp.MustCompile(`\b(?:export|local|readonly|unset)[ \t]+$`) // with no value
	gives     = regexp.MustCompile(`^(?:=|[ \t]*:[ \t])[ \t]*(.*)`)
	oneValue  = regexp.MustCompile("^(?:" + oneText + "|(?:\"" + oneText + "\"|'" + oneText + "')" + behind + ")$")
)

// One line is text without quotes, or text that ends where its quotes do.
const (
	oneText = "[^\"'$\\\\`<>|]*"
	behind  = "(?:[\\s;&)},>].*)?"
)

// givenOneLine says whether a variable is one line wherever the file names it, but in prose: it is
// looked at, or given one. A variable that is not GitHub's is given one in the file, and by nothing
// that is sourced.
func (s *script) givenOneLine(name string) bool {
	githubs := variables.MatchString(name)
	text := comment.ReplaceAllString(proseLine.ReplaceAllString(s.mask(string(s.file.Data)), ""), "")
	known := githubs
	for _, at := range regexp.MustCompile(`\b`+name+`\b`).FindAllStringIndex(text, -1) {
		before := text[max(0, at[0]-16):at[0]]
		rest, _, _ := strings.Cut(text[at[1]:], "\n")
		value := gives.FindStringSubmatch(rest)
		switch {
		case lookedAt.MatchString(before):
			if strings.Contains(before[len(before)-2:], "{") && defaulted.MatchString(rest) {
				return false
			}
		case value == nil && listed.MatchString(before):
		case value == nil || githubs || s.sources || !s.oneLineValue(name, openQuote.FindString(before)+value[1]):
			return false
		default:
			known = true
		}
	}
	return known
}

// oneLineValue says whether a value is one line that ends where its quotes do. What it refers to is itself, or
// GitHub's.
func (s *script) oneLineValue(of, value string) bool {
	known := true
	plain := refers.ReplaceAllStringFunc(value, func(reference string) string {
		name := strings.TrimLeft(reference, "${")
		known = known && (name == of || variables.MatchString(name) && s.givenOneLine(name))
		return ""
	})
	return known && oneValue.MatchString(plain)
}

var refers = regexp.MustCompile(`\$\{?[A-Za-z_]\w*`)

var openQuote = regexp.MustCompile(`["']?$`)
