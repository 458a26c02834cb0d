package guard

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/expand"
	"mvdan.cc/sh/v3/syntax"
)

// hole stands in the text of a script for what is only known when it runs.
const hole = "\uE000"

// An expression is a parameter to the parser, so that it may stand wherever the
// shell takes one; in single quotes and here-documents the parameter is text.
const unknown, oneLine, envFile = "${mero__unknown}", "${GITHUB_SHA}", "${GITHUB_ENV}"

// Contexts and variables that GitHub sets by itself and that cannot hold a newline.
var (
	contexts  = regexp.MustCompile(`^\$\{\{\s*(?:(?:github|runner)\.\w+|(?:matrix|strategy)\.[\w.-]+|job\.status)\s*\}\}$`)
	variables = regexp.MustCompile(`^(?:GITHUB_(?:SHA|REF|REF_NAME|REF_TYPE|HEAD_REF|BASE_REF|REPOSITORY|` +
		`REPOSITORY_OWNER|RUN_ID|RUN_NUMBER|RUN_ATTEMPT|ACTOR|JOB|WORKFLOW|WORKSPACE|EVENT_NAME|SERVER_URL|API_URL)|` +
		`RUNNER_\w+|HOME|PWD)$`)
)

// mask puts a parameter in the place of each expression.
func (j *judgement) mask(text string) string {
	computedMatrix := bytes.Contains(j.file.Data, []byte("fromJSON"))
	return expression.ReplaceAllStringFunc(text, func(e string) string {
		switch {
		case fileOfNames.MatchString(e):
			return envFile
		case contexts.MatchString(e) && !(computedMatrix && strings.Contains(e, "matrix.")):
			return oneLine
		}
		return unknown
	})
}

// script is one shell script of a file.
type script struct {
	*judgement
	at      string
	line    int      // of the file, where the script begins
	flat    bool     // its lines are not lines of the file
	readers []string // commands that only read, with the script's own functions that do no more
}

// shell judges a script for sh or bash. What merely may be one is not refused for being none.
func (j *judgement) shell(s script, text string, certain bool) {
	s.judgement, s.readers = j, readers
	f, err := syntax.NewParser().Parse(strings.NewReader(j.mask(text)), "")
	if err != nil && certain {
		j.cannot(s.line, "not a script for sh or bash in %s: %v", s.at, err)
	}
	for _, st := range f.Stmts {
		s.statement(st)
	}
}

func (s *script) lineOf(n syntax.Node) int {
	if s.flat {
		return s.line
	}
	return s.line + int(n.Pos().Line()) - 1
}

func source(n syntax.Node) string {
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, n); err != nil {
		return hole
	}
	return b.String()
}

// render is the text of a word without quotes, with holes.
func render(parts []syntax.WordPart) string {
	var b strings.Builder
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit:
			b.WriteString(backslash.ReplaceAllString(strings.ReplaceAll(p.Value, unknown, hole), "$1"))
		case *syntax.SglQuoted:
			text := strings.ReplaceAll(p.Value, unknown, hole)
			if p.Dollar {
				text, _, _ = expand.Format(nil, p.Value, nil)
			}
			b.WriteString(text)
		case *syntax.DblQuoted:
			b.WriteString(render(p.Parts))
		default:
			b.WriteString(hole)
		}
	}
	return b.String()
}

var backslash = regexp.MustCompile(`\\([^\n])`)

// fields are the words of a command after brace expansion.
func fields(words []*syntax.Word) []string {
	var out []string
	for _, w := range words {
		split := &syntax.Word{Parts: slices.Clone(w.Parts)}
		syntax.SplitBraces(split)
		for x, err := range expand.BracesSeq(nil, split) {
			if err != nil { // thousands of words: nobody can say which
				out = append(out, hole)
				break
			}
			out = append(out, render(x.Parts))
		}
	}
	return out
}

// Commands that change nothing but their own output, which a statement made of
// them alone hands to nobody: `env | grep -q ^ALLOWED_ && exit 1`.
var readers = strings.Fields("unset [ test : true false exit return break continue echo printf read " +
	"grep egrep printenv compgen env cut tr sort uniq head tail wc cat ls")

// written is the text of an assignment, but for one in an address.
var written = regexp.MustCompile(`(?i)(?:^|[^A-Za-z0-9_?&/#.-])ALLOWED_[A-Za-z0-9_]*(?:\+?=|<<)`)

// onlyReads says whether a statement is made of readers alone and sets nothing by an ALLOWED_ name.
func (s *script) onlyReads(st syntax.Node) bool {
	innocent := true
	syntax.Walk(st, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			args := fields(n.Args)
			runs := len(args) > 1 && args[0] == "env"
			innocent = innocent && !runs && (len(args) == 0 || slices.Contains(s.readers, args[0]))
		case *syntax.Assign:
			innocent = innocent && n.Array == nil && (n.Value == nil || nameIn(render(n.Value.Parts), mention) == "")
		case *syntax.DeclClause:
			innocent = false
		case *syntax.Redirect:
			harmless := n.Op == syntax.RdrIn || n.Op == syntax.DplOut || n.Hdoc != nil || n.Op == syntax.WordHdoc
			innocent = innocent && (harmless || strings.HasPrefix(render(n.Word.Parts), "/dev/"))
		case *syntax.Word:
			innocent = innocent && !written.MatchString(render(n.Parts))
		}
		return innocent
	})
	return innocent
}

func (s *script) statement(st *syntax.Stmt) {
	if f, ok := st.Cmd.(*syntax.FuncDecl); ok && s.onlyReads(f.Body) {
		s.readers = append(slices.Clip(s.readers), f.Name.Value)
	}
	if s.release {
		s.fills(st, true)
	}
	reads := s.onlyReads(st)
	syntax.Walk(st, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			s.command(n, n.Assigns, fields(n.Args))
		case *syntax.DeclClause:
			s.declaration(n)
		case *syntax.ParamExp:
			assigns := n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull)
			if name := n.Param.Value; nameIn(name, mention) != "" && (assigns || !reads) {
				s.add(s.lineOf(n), "%s in %s", name, s.at)
			}
		case *syntax.Word:
			s.halves[0] = s.halves[0] || halfName.MatchString(render(n.Parts))
			if name := nameIn(render(n.Parts), mention); name != "" && !reads {
				s.add(s.lineOf(n), "%s in %s", name, s.at)
			}
		}
		return true
	})
}

var nameWord = regexp.MustCompile(`^(?:-e|--env=|--build-arg=|--setenv=)?([A-Za-z0-9_` + hole + `]+)(\+?=|<<|$)`)

// setting judges a word that may be NAME=value; bare says that NAME alone sets it as well.
func (s *script) setting(n syntax.Node, text string, bare bool) {
	m := nameWord.FindStringSubmatch(text)
	if m == nil || m[2] == "" && !bare {
		return
	}
	start, _, computed := strings.Cut(m[1], hole)
	switch {
	case startsAllowed(m[1]):
		s.add(s.lineOf(n), "%s in %s", m[1], s.at)
	case m[1] == "BASH_ENV":
		s.cannot(s.lineOf(n), "BASH_ENV, a script that every step would begin with, in %s", s.at)
	case computed && strings.HasPrefix("ALLOWED_", strings.ToUpper(start)) && s.release:
		s.cannot(s.lineOf(n), "a computed name in %s", s.at)
	}
}

// assign judges NAME=value. Lower case is a local of the script, unless it is passed on.
func (s *script) assign(a *syntax.Assign, passedOn bool) {
	if passedOn || nameIn(a.Name.Value, mention) != "" || a.Name.Value == "BASH_ENV" {
		s.setting(a, a.Name.Value, true)
	}
}

func (s *script) declaration(d *syntax.DeclClause) {
	exported := d.Variant.Value == "export"
	for _, a := range d.Args {
		if a.Name != nil {
			s.assign(a, exported)
			continue
		}
		for _, text := range fields([]*syntax.Word{a.Value}) {
			exported = exported || strings.HasPrefix(text, "-") && strings.Contains(text, "x")
			s.setting(a, text, true)
		}
	}
}

// Commands that run the command behind them, that set what their arguments name, and that hand names on by an option.
var (
	wrappers  = strings.Fields("command builtin exec sudo nohup time nice stdbuf timeout")
	exporters = strings.Fields("export declare typeset local readonly")
	runners   = strings.Fields("docker podman nerdctl buildah kubectl systemd-run")
	handing   = strings.Fields("-e --env --build-arg -E --setenv")
	textOf    = regexp.MustCompile(`^-[a-zA-Z]*c$`)

	interpreters  = regexp.MustCompile(`^(?:python|perl|ruby|node|php|pwsh)[0-9.]*$`)
	inlineProgram = regexp.MustCompile(`^-[a-zA-Z]*[ceE]$`)
	ownFolder     = regexp.MustCompile(`^"?\$(?:\(dirname (?:-- )?"?\$(?:0|\{?BASH_SOURCE)[^)]*\)|` +
		"\\{?(?:GITHUB_WORKSPACE|PWD)\\}?)/([^$`\"]+)\"?$")
)

func (s *script) command(n *syntax.CallExpr, assigns []*syntax.Assign, args []string) {
	for _, a := range assigns {
		s.assign(a, len(args) > 0)
	}
	for len(args) > 0 && slices.Contains(wrappers, args[0]) {
		for args = args[1:]; len(args) > 0 && strings.HasPrefix(args[0], "-"); {
			args = args[1:]
		}
	}
	if len(args) == 0 {
		return
	}
	name := path.Base(args[0])
	switch rest := args[1:]; {
	case name == "eval":
		s.nested(n, strings.Join(rest, " "))
	case (name == "." || name == "source") && len(rest) > 0:
		s.continues(n, source(n.Args[1]), rest[0])
	case name == "sh" || name == "bash" || name == "dash":
		if i := slices.IndexFunc(rest, textOf.MatchString); i >= 0 && i+1 < len(rest) {
			s.nested(n, rest[i+1])
		}
	case name == "env" && strings.HasPrefix(afterSettings(rest), hole),
		name == "xargs" && (slices.Contains(rest, "env") || strings.Contains(strings.Join(rest, " "), "export ")):
		s.cannot(s.lineOf(n), "a computed name in %s", s.at)
	}
	s.arguments(n, name, args)
}

// arguments judges the words of a command by what the command makes of them.
func (s *script) arguments(n *syntax.CallExpr, name string, args []string) {
	inline := slices.IndexFunc(args, inlineProgram.MatchString) + 1
	if s.release && interpreters.MatchString(name) && inline > 0 && inline < len(args) {
		s.foreign(s.at, s.lineOf(n), "a "+name, args[inline])
	}
	for i, a := range args {
		before := args[max(0, i-1)]
		runs := slices.Contains(runners, name) &&
			(slices.Contains(handing, before) || strings.HasPrefix(a, "-e") || strings.HasPrefix(a, "--env="))
		file, isFile := strings.CutPrefix(a, "--env-file=")
		switch {
		case isFile || before == "--env-file":
			s.continues(n, file, file)
		case runs || slices.Contains(exporters, name) || name == "printf" && before == "-v":
			s.setting(n, a, true)
		case i == 0 || name == "env" || name == "make" || !slices.Contains(readers, name) && !strings.Contains(a, hole):
			s.setting(n, a, false)
		}
		if s.release && strings.Contains(a, "/") && !strings.Contains(a, hole) {
			s.uses = append(s.uses, use{line: s.lineOf(n), name: a, optional: true})
		}
	}
}

// afterSettings is the word behind the options and NAME=value words of env.
func afterSettings(args []string) string {
	for _, a := range args {
		if !strings.HasPrefix(a, "-") && !strings.Contains(a, "=") {
			return a
		}
	}
	return ""
}

// continues notes the file that a script sources, or that a container's variables are read from.
func (s *script) continues(n syntax.Node, source, name string) {
	own := ownFolder.FindStringSubmatch(source)
	switch {
	case !s.release:
	case own != nil:
		s.uses = append(s.uses, use{line: s.lineOf(n), from: path.Dir(s.file.Path), name: own[1]})
	case strings.Contains(name, hole) || path.IsAbs(name):
		s.cannot(s.lineOf(n), "a file that is sourced and cannot be read in %s", s.at)
	default:
		s.uses = append(s.uses, use{line: s.lineOf(n), from: path.Dir(s.file.Path), name: name})
	}
}

// nested judges text that the script has a shell read.
func (s *script) nested(n syntax.Node, text string) {
	if s.release && strings.HasPrefix(text, hole) {
		s.cannot(s.lineOf(n), "a command that is put together in %s", s.at)
		return
	}
	s.shell(script{at: s.at, line: s.lineOf(n), flat: true}, strings.ReplaceAll(text, hole, unknown), s.release)
}

// GITHUB_ENV sets variables for every later step. It may be filled in a few
// forms, in which each name and the end of each line can be read; and it may be
// looked at. The pieces of the forms, in the syntax tree's own layout:
var pieces = strings.NewReplacer(
	"TARGET", `"?\$\{?GITHUB_ENV\}?"?`,
	"LINES", `(?:\s*(?:PRINT(?:;|\n)|else\s|elif TEST; then\s)\s*)+`,
	"PRINT", `(?:echo (?:"NAMEQUOTED*"|NAMEWORD*|LITERAL)|printf ["']NAME(?:QUOTED|%s)*\\n["'](?: "QUOTED*"| WORD+)*)`,
	"TEST", `(?:\[|test|\[\[) [^\n;()]*`,
	"LITERAL", "(?:'[^'\\\\%\\n]*'|[^-\\s\"'$\\\\%`<>|;&()][^\"'$\\\\%`<>|;&()\\n]*)",
	"NAME", `[A-Za-z_]\w*=`,
	"QUOTED", "(?:[^\"$\\\\%`\\n]|VARIABLE)",
	"WORD", "(?:[^\\s\"'$\\\\%`<>|;&()]|VARIABLE)",
	"VARIABLE", `\$\{?[A-Za-z_]\w*(?:[#%^,][^{}$"]*)?\}?`)

var (
	filling = form(`(?:PRINT|\{LINES\}|\(LINES\)|if TEST; then\sLINESfi) >>TARGET` +
		`|PRINT \| tee -a TARGET(?: >/dev/null)?` +
		"|cat (?:>>TARGET )?<<[\"']?EOF[\"']?(?: >>TARGET)?\\n(?:NAME(?:[^$\\\\`\\n]|VARIABLE)*\\n)*EOF")
	looking     = form(`(?:echo|cat|ls|wc|test|\[|\[\[|head|tail|grep)(?: [^<>|;&()$]*)? TARGET(?: \]{1,2})?`)
	envName     = regexp.MustCompile(`\bGITHUB_ENV\b`)
	printedName = regexp.MustCompile(`\b([A-Za-z_]\w*)(?:=|<<)`)
	parameter   = regexp.MustCompile(`\$\{?([A-Za-z_]\w*)`)
	indirect    = regexp.MustCompile(`>>?\|?\s*"?\$\{!`)
	otherRoutes = regexp.MustCompile(`::set-env|_runner_file_commands`)
)

// form compiles a form; three rounds put every piece in its place.
func form(text string) *regexp.Regexp {
	return regexp.MustCompile(`^(?:` + pieces.Replace(pieces.Replace(pieces.Replace(text))) + `)\n?$`)
}

// fills judges what a statement, or one within it, does with GITHUB_ENV. shows
// says that what the statement prints goes to nobody, so that it may be looked at.
func (s *script) fills(st *syntax.Stmt, shows bool) {
	text := source(st)
	if filling.MatchString(text) && s.oneLines(text) {
		for _, m := range printedName.FindAllStringSubmatch(text, -1) {
			s.setting(st, m[1], true)
		}
		return
	}
	if shows && looking.MatchString(text) {
		return
	}
	left := reached(text)
	syntax.Walk(st, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl:
			shows = false
		case *syntax.BinaryCmd:
			shows = shows && n.Op != syntax.Pipe && n.Op != syntax.PipeAll
		case *syntax.CmdSubst, *syntax.ProcSubst:
			return false
		case *syntax.Stmt:
			if n != st {
				left -= reached(source(n))
				s.fills(n, shows)
			}
			return n == st
		}
		return true
	})
	if left > 0 || indirect.MatchString(text) || otherRoutes.MatchString(text) {
		s.cannot(s.lineOf(st), "GITHUB_ENV filled with what the file does not show in %s", s.at)
	}
}

// reached counts how often a text names GITHUB_ENV.
func reached(text string) int { return len(envName.FindAllString(quotes.Replace(text), -1)) }

// oneLines says whether every variable in the text holds one line, because
// GitHub sets it so or because all that the file gives it is one.
func (s *script) oneLines(text string) bool {
	for _, m := range parameter.FindAllStringSubmatch(text, -1) {
		if m[1] == "GITHUB_ENV" || variables.MatchString(m[1]) {
			continue
		}
		given := regexp.MustCompile(`(?m)\b`+m[1]+`\s*[:=]\s*(.*)$`).FindAllStringSubmatch(s.mask(string(s.file.Data)), -1)
		read := regexp.MustCompile(`\b(?:read|mapfile|readarray|printf -v)\b.*\b` + m[1] + `\b`)
		open := func(g []string) bool { return !oneValue.MatchString(g[1]) }
		if len(given) == 0 || slices.ContainsFunc(given, open) || read.Match(s.file.Data) {
			return false
		}
	}
	return true
}

var oneValue = regexp.MustCompile("^[\"']?(?:[^\"'$\\\\`<>|]|\\$\\{?GITHUB_(?:SHA|REF_NAME)\\}?)*[\"']?" +
	pieces.Replace("(?: *>> *TARGET)?$"))
