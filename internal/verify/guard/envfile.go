package guard

import (
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Clause 4. GITHUB_ENV sets variables for every later step. A script may append NAME=value lines
// to it, in which each NAME and the end of each line can be read; and it may look at it, where what
// it sees goes to nobody. Whatever else leads to the file cannot be judged.
var (
	filling = fillingForms()
	looking = regexp.MustCompile(
		`^(?:echo|cat|ls|wc|test|\[|\[\[|head|tail|grep)(?: [^<>|;&()$]*)? ` + envTarget + `(?: \]{1,2})?$`)
	printed = regexp.MustCompile(`\b([A-Za-z_]\w*)(?:=|<<)`)
	route   = regexp.MustCompile(`\bGITHUB_ENV\b|::set-env|_runner|file_commands|\bset_env`)
)

const envTarget = `"?\$\{?GITHUB_ENV\}?"?`

// fillingForms match a statement as the shell package prints it: echo and printf, alone or as any
// sequence within a group or a choice; tee behind one of them; a here-document. What is expanded
// in them is judged by oneLined.
func fillingForms() *regexp.Regexp {
	const (
		name  = `[A-Za-z_]\w*=`
		bare  = "[^\\s\"'\\\\`<>|;&()]" // a character outside quotes
		quote = "[^\"\\\\`\\n]"         // a character within quotes
		plain = "'[^'\\\\\\n]*'|\\w[^\"'$\\\\`<>|;&(){}*?\\n]*"

		echo   = `echo (?:"` + name + quote + `*"|` + name + bare + `*|` + plain + `)`
		printf = `printf ["']` + name + `(?:[^%"'\\\n]|%s)*\\n["'](?: "` + quote + `*"| ` + bare + `+)*`
		prints = `(?:` + echo + `|` + printf + `)`
		tests  = `(?:el)?if (?:\[|test|\[\[) [^\n;()&|]*`

		sequence = `(?:\(?\s*(?:` + prints + `|` + tests + `|then|else|fi|[{}])\s*\)?[;\s]+)+>>` + envTarget
		tee      = prints + ` \| tee -a ` + envTarget + `(?: >/dev/null)?`
		lines    = `\n(?:` + name + "[^\\\\`\\n]*\\n)*\\w+"
		document = `cat (?:>>` + envTarget + ` )?<<["']?\w+["']?(?: >>` + envTarget + `)?` + lines
	)
	return regexp.MustCompile(`^(?:` + sequence + `|` + tee + `|` + document + `)\n?$`)
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
			if shows && looking.MatchString(text) {
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

// Variables that GitHub sets by itself and that cannot hold a newline, and what gives a variable one line.
var (
	parameter = regexp.MustCompile(`^\$\{?([A-Za-z_]\w*)(?:[#%^,:/][^{}$"\\\n]*)?\}?$`)
	variables = regexp.MustCompile(`^(?:GITHUB_(?:ENV|SHA|REF|REF_NAME|REF_TYPE|HEAD_REF|BASE_REF|REPOSITORY|ACTOR|` +
		`REPOSITORY_OWNER|RUN_ID|RUN_NUMBER|RUN_ATTEMPT|JOB|WORKFLOW|WORKSPACE|EVENT_NAME|SERVER_URL|API_URL)|` +
		`RUNNER_\w+|HOME|PWD)$`)
	oneValue = regexp.MustCompile("^[\"']?(?:[^\"'$\\\\`<>|]|\\$\\{?GITHUB_(?:SHA|REF_NAME)\\}?)*[\"']?(?: *>> *" +
		envTarget + `)?$`)
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
			known = known && m != nil && (variables.MatchString(m[1]) || s.givenOneLine(m[1]))
		case *syntax.Lit, *syntax.SglQuoted:
			known = known && !strings.Contains(source(n), unknown)
		}
		return known
	})
	return known
}

// givenOneLine says whether all that the file gives a variable is one line.
func (s *script) givenOneLine(name string) bool {
	text := s.mask(string(s.file.Data))
	given := regexp.MustCompile(`(?m)\b`+name+`\s*(?:=|:\s)\s*(.*)$`).FindAllStringSubmatch(text, -1)
	read := regexp.MustCompile(`\b(?:read|mapfile|readarray|printf -v)\b.*\b` + name + `\b`)
	open := func(g []string) bool { return !oneValue.MatchString(g[1]) }
	return len(given) > 0 && !slices.ContainsFunc(given, open) && !read.MatchString(text)
}
