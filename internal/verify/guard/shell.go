package guard

import (
	"bytes"
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// hole stands in the text of a script for what is only known when it runs.
const hole = "\uE000"

// An expression is a parameter to the parser, so that it may stand wherever the
// shell takes one; in single quotes and here-documents the parameter is text.
const unknown, oneLine, envFile = "${mero__unknown}", "${GITHUB_SHA}", "${GITHUB_ENV}"

// Contexts that GitHub sets by itself and that cannot hold a newline, and the matrix, which cannot where the file
// shows all of it.
var (
	contexts = regexp.MustCompile(`^\$\{\{\s*(?:github\.(?:sha|ref|ref_name|ref_type|head_ref|base_ref|repository|actor|` +
		`repository_owner|run_id|run_number|run_attempt|job|workspace|event_name|server_url|api_url|token|` +
		`triggering_actor|action_path)|runner\.\w+|strategy\.[\w.-]+|job\.status)\s*\}\}$`)
	ofMatrix = regexp.MustCompile(`^\$\{\{\s*matrix\.([\w-]+)[\w.-]*\s*\}\}$`)
)

// mask puts a parameter in the place of each expression.
func (j *judgement) mask(text string) string {
	return expression.ReplaceAllStringFunc(text, func(e string) string {
		switch {
		case fileOfNames.MatchString(e):
			return envFile
		case contexts.MatchString(e), ofMatrix.MatchString(e) && j.literalMatrix:
			return oneLine
		}
		return unknown
	})
}

// script is one shell script of a file.
type script struct {
	*judgement
	at      string
	line    int      // the line of the file before the script
	flat    bool     // or, as its lines are not lines of the file, the one that holds it
	readers []string // commands that only read, with the script's own functions that do no more
	sources bool     // it reads a file of commands into itself
	child   bool     // its text was put together by another script
	folders []string // that it may have gone to
}

// shell judges a script for sh or bash. What merely may be one is not refused for being none.
func (j *judgement) shell(s script, text string, certain bool) *script {
	s.judgement, s.readers = j, readers
	f, err := syntax.NewParser().Parse(strings.NewReader(j.mask(text)), "")
	if err != nil && certain {
		j.cannot(max(1, s.line), "not a script for sh or bash in %s: %v", s.at, err)
	}
	s.folders = j.foldersOf(f)
	s.maybe(f, ".") // what a program reads by itself in these
	for _, st := range f.Stmts {
		s.statement(st)
	}
	if s.release {
		s.environmentFile(f, j.github)
		s.redefinitions(f)
	}
	return &s
}

// redefinitions refuses a function or an alias in the place of a command by whose name statements are judged: what
// writes lines everywhere, for others may use it, and what only reads where there is something to read.
func (s *script) redefinitions(f *syntax.File) {
	matters := mention.Match(s.file.Data) || bytes.Contains(s.file.Data, []byte("GITHUB_ENV"))
	known := func(name string) bool {
		return slices.Contains(printers, name) || matters && slices.Contains(readers, name)
	}
	syntax.Walk(f, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.FuncDecl:
			if known(n.Name.Value) {
				s.cannot(s.lineOf(n), "%s, which is a function of the script, in %s", n.Name.Value, s.at)
			}
		case *syntax.CallExpr:
			args := unwrapped(n)
			if len(args) == 0 || args[0] != "alias" {
				return true
			}
			for _, word := range args[1:] {
				if name, _, _ := strings.Cut(word, "="); known(name) || strings.Contains(name, hole) {
					s.cannot(s.lineOf(n), "%s, which is an alias of the script, in %s", name, s.at)
				}
			}
		}
		return true
	})
}

func (s *script) lineOf(n syntax.Node) int {
	if s.flat {
		return s.line
	}
	return s.line + int(n.Pos().Line())
}

func source(n syntax.Node) string {
	var b strings.Builder
	if err := syntax.NewPrinter().Print(&b, n); err != nil {
		return hole
	}
	return b.String()
}

// render is the text of a word without quotes and escapes, with holes.
func render(parts []syntax.WordPart) string {
	var b strings.Builder
	for _, part := range parts {
		switch p := part.(type) {
		case *syntax.Lit, *syntax.SglQuoted:
			text := strings.TrimPrefix(strings.ReplaceAll(source(p), unknown, hole), "$'")
			b.WriteString(quotes.Replace(escapes.ReplaceAllStringFunc(text, unescape)))
		case *syntax.DblQuoted:
			b.WriteString(render(p.Parts))
		default:
			b.WriteString(hole)
		}
	}
	return b.String()
}

func renderAll(words []*syntax.Word) []string {
	var out []string
	for _, w := range words {
		out = append(out, render(w.Parts))
	}
	return out
}

// Clause 1. No word of a script may hold ALLOWED_ in upper case, but in a statement that only reads,
// which hands it to nobody: `env | grep -q ^ALLOWED_ && exit 1`.
var readers = strings.Fields("unset [ test : true false exit return break continue echo printf read " +
	"grep egrep printenv compgen env cut tr sort uniq head tail wc cat ls")

// printers are those by which a statement fills GITHUB_ENV.
var printers = strings.Fields("echo printf cat tee")

func (s *script) onlyReads(st syntax.Node) bool {
	reads := true
	syntax.Walk(st, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.CallExpr:
			args := renderAll(n.Args)
			runs := len(args) > 1 && args[0] == "env"
			reads = reads && !runs && (len(args) == 0 || slices.Contains(s.readers, args[0]) || searches(args))
		case *syntax.Assign:
			reads = reads && n.Array == nil && (n.Value == nil || nameIn(source(n.Value), mention) == "")
		case *syntax.DeclClause:
			reads = reads && takesBack.MatchString(source(n))
			return false
		case *syntax.Redirect:
			harmless := n.Op == syntax.RdrIn || n.Op == syntax.DplOut || n.Hdoc != nil || n.Op == syntax.WordHdoc
			reads = reads && (harmless || forPeople.MatchString(source(n.Word)))
		case *syntax.Word:
			reads = reads && nameIn(source(n), assigned) == ""
		}
		return reads
	})
	return reads
}

var (
	takesBack = regexp.MustCompile(`^(?:export -n|(?:declare|typeset|export) -p)(?: \w+)*$`)
	forPeople = regexp.MustCompile(`^(?:/dev/\w+|"?\$\{?GITHUB_STEP_SUMMARY\}?"?)$`)
)

func searches(args []string) bool {
	return args[0] == "rg" || len(args) > 1 && args[0] == "git" && args[1] == "grep"
}

// handsOver says whether a statement hands a name that it holds to a command that may do more than read it. What
// stands before a pipe hands on what it prints, and is handed nothing.
func (s *script) handsOver(st *syntax.Stmt) bool {
	pipe, ok := st.Cmd.(*syntax.BinaryCmd)
	if !ok || pipe.Op != syntax.Pipe && pipe.Op != syntax.PipeAll || nameIn(source(pipe.X), mention) != "" {
		return !s.onlyReads(st)
	}
	return s.handsOver(pipe.Y) || len(st.Redirs) > 0
}

// partsOf are the statements of one that decides or repeats nothing by a name: each is handed its own words alone.
func partsOf(st *syntax.Stmt) (parts []*syntax.Stmt) {
	if len(st.Redirs) > 0 {
		return nil
	}
	switch cmd := st.Cmd.(type) {
	case *syntax.IfClause:
		for c := cmd; c != nil; c = c.Else {
			parts = append(append(parts, c.Cond...), c.Then...)
		}
	case *syntax.BinaryCmd:
		if cmd.Op == syntax.AndStmt || cmd.Op == syntax.OrStmt {
			parts = []*syntax.Stmt{cmd.X, cmd.Y}
		}
	case *syntax.Block:
		parts = cmd.Stmts
	case *syntax.Subshell:
		parts = cmd.Stmts
	}
	return parts
}

func (s *script) statement(st *syntax.Stmt) {
	if parts := partsOf(st); len(parts) > 0 {
		for _, part := range parts {
			s.statement(part)
		}
		return
	}
	reads := s.onlyReads(st)
	if f, ok := st.Cmd.(*syntax.FuncDecl); ok && reads {
		s.readers = append(slices.Clip(s.readers), f.Name.Value)
	}
	if s.release {
		s.lookUps(st, reads)
	}
	harmless, taken := !s.handsOver(st), map[syntax.Node]bool{}
	syntax.Walk(st, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.Stmt:
			s.input(n)
		case *syntax.CallExpr:
			s.command(n)
			for _, word := range takenAway(n) {
				taken[word] = true
			}
		case *syntax.DeclClause:
			s.declaration(n)
		case *syntax.Word:
			if name := nameIn(source(n), mention); name != "" && !harmless && !taken[n] {
				s.add(s.lineOf(n), name, s.at)
			}
		case *syntax.FuncDecl:
			if s.release && fed(n.Body) != "" {
				s.cannot(s.lineOf(n), "a script that a function gets in %s", s.at)
			}
		}
		s.computes(n)
		return true
	})
}

// takenAway are the names that env takes out of the environment of the command that it runs: env -u NAME.
func takenAway(n *syntax.CallExpr) (words []*syntax.Word) {
	args := renderAll(n.Args)
	for i, arg := range args {
		if path.Base(args[0]) == "env" && i > 0 && (args[i-1] == "-u" || strings.HasPrefix(arg, "--unset=")) {
			words = append(words, n.Args[i])
		}
	}
	return words
}

// Clauses 2 and 3. Where a script sets a variable, its name may not start with ALLOWED_ in any case,
// and is written out as far as it could.
var nameWord = regexp.MustCompile(`^(?:-e|--env=|--build-arg=|--setenv=)?([A-Za-z0-9_{},` + hole + `]+)(\+?=|<<|$)`)

// What a word does where it stands.
const (
	mayBeSet = iota // NAME=value is a setting of some command, or none
	set             // NAME=value sets a variable
	handedOn        // and NAME alone hands it on
)

func (s *script) setting(n syntax.Node, word string, role int) {
	m := nameWord.FindStringSubmatch(word)
	if m == nil || m[2] == "" && role != handedOn {
		return
	}
	s.variable(s.lineOf(n), m[1], s.at)
	if role != mayBeSet && s.release && mayBecomeAllowed(m[1]) {
		s.cannot(s.lineOf(n), "a computed name in %s", s.at)
	}
}

// assign judges NAME=value.
func (s *script) assign(a *syntax.Assign, handsOn bool) {
	if handsOn {
		s.setting(a, a.Name.Value, handedOn)
	} else {
		s.local(a, a.Name.Value)
	}
}

// local judges the name of a variable that the script sets for itself. In lower case it stays there; in upper case
// it may have been exported before: set -a.
func (s *script) local(n syntax.Node, name string) {
	if !strings.HasPrefix(name, "allowed_") {
		s.setting(n, name, handedOn)
	}
}

// computes judges what the shell sets beside assignments: by a loop, a redirection, arithmetic, or a default.
func (s *script) computes(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.WordIter:
		s.local(n, n.Name.Value)
	case *syntax.Redirect:
		if n.N != nil {
			s.local(n, strings.Trim(n.N.Value, "{}"))
		}
	case *syntax.BinaryArithm:
		if left, ok := n.X.(*syntax.Word); ok && assigns.MatchString(n.Op.String()) {
			s.local(n, render(left.Parts))
		}
	case *syntax.UnaryArithm:
		if of, ok := n.X.(*syntax.Word); ok && (n.Op == syntax.Inc || n.Op == syntax.Dec) {
			s.local(n, render(of.Parts))
		}
	case *syntax.LetClause:
		for _, e := range n.Exprs {
			if text, ok := e.(*syntax.Word); ok {
				s.setting(n, render(text.Parts), set)
			}
		}
	case *syntax.ParamExp:
		if n.Excl && n.Exp != nil && (n.Exp.Op == syntax.AssignUnset || n.Exp.Op == syntax.AssignUnsetOrNull) {
			s.cannot(s.lineOf(n), "a computed name in %s", s.at)
		}
	}
}

var assigns = regexp.MustCompile(`^[^=!<>]*=$|^(?:<<|>>)=$`)

var exports = regexp.MustCompile(`^export|^\w+ (?:.* )?-\w*x`)

func (s *script) declaration(d *syntax.DeclClause) {
	if takesBack.MatchString(source(d)) {
		return
	}
	for _, a := range d.Args {
		if a.Name != nil {
			s.assign(a, exports.MatchString(source(d)))
		} else {
			s.setting(a, render(a.Value.Parts), handedOn)
		}
	}
}

// Commands that run the command behind them, that set what their arguments name, and that hand names on by an option.
var (
	wrappers = map[string]wrapper{"command": {}, "builtin": {}, "nohup": {}, "setsid": {}, "exec": {valued: "a"},
		"sudo": {valued: "ugCDRTUhpr"}, "time": {valued: "fo"}, "nice": {valued: "n"}, "ionice": {valued: "cnpPu"},
		"stdbuf": {valued: "ioe"}, "timeout": {valued: "ks", operands: 1}, "flock": {valued: "wE", operands: 1}}
	exporters = strings.Fields("export declare typeset local readonly")
	namers    = map[string]string{ // by their options with a value
		"read": "pdtnNui", "mapfile": "dnOsuCc", "readarray": "dnOsuCc", "getopts": ""}
	runners   = strings.Fields("docker podman nerdctl buildah kubectl systemd-run")
	handing   = strings.Fields("-e --env --build-arg -E --setenv")
	option    = regexp.MustCompile(`^-`)
	scriptOf  = regexp.MustCompile(`^-[a-zA-Z]*c$`)
	programOf = regexp.MustCompile(`^(?:-[a-zA-Z]*[ceE]|eval)$`)
	languages = regexp.MustCompile(`^(?:python|perl|ruby|node|php|pwsh|powershell|lua|luajit|deno|bun|tclsh|julia|guile|` +
		`Rscript|osascript|[zk]sh|mksh|fish|nu)[0-9.]*$`)
	awks      = regexp.MustCompile(`^[gm]?awk$`)
	wordOfEnv = regexp.MustCompile(`^[^-=][^=]*$`) // neither an option nor a setting
)

func (s *script) command(n *syntax.CallExpr) {
	for _, a := range n.Assigns {
		s.assign(a, len(n.Args) > 0)
	}
	if words := n.Args; s.release && len(words) > 0 && strings.HasPrefix(source(words[0]), unknown) &&
		(s.child || len(words) == 1) {
		s.cannot(s.lineOf(n), "a command that is put together in %s", s.at)
	}
	args := unwrapped(n)
	if len(args) == 0 {
		return
	}
	name, settings := path.Base(args[0]), strings.Contains(args[0], "=") // as sudo takes them
	for i, word := range args {
		before := args[max(0, i-1)]
		if i == 0 || carries(args, i) {
			s.runs(n, path.Base(word), args[i+1:])
			settings = settings || path.Base(word) == "env"
		} else if !option.MatchString(word) && !option.MatchString(before) && !strings.Contains(word, "=") {
			settings = false
		}
		hands := slices.Contains(handing, before) || strings.HasPrefix(word, "-e") || strings.HasPrefix(word, "--env=")
		file, isFile := strings.CutPrefix(word, "--env-file=")
		switch {
		case isFile || before == "--env-file":
			s.continues(n, file)
		case hands && slices.Contains(runners, name), slices.Contains(exporters, name):
			s.setting(n, word, handedOn)
		case name == "printf" && (before == "-v" || strings.HasPrefix(word, "-v")):
			s.local(n, strings.TrimPrefix(word, "-v"))
		case i > 0 && isName(name, word, before):
			s.local(n, word)
		case i == 0 || settings || name == "make":
			s.setting(n, word, set)
		case !slices.Contains(readers, name):
			s.setting(n, word, mayBeSet)
		}
		s.maybe(n, word)
	}
}

// isName says whether a word of a command is the name of a variable that it reads into.
func isName(command, word, before string) bool {
	valued, reads := namers[command]
	value := option.MatchString(before) && strings.Contains(valued, before[len(before)-1:])
	return reads && !option.MatchString(word) && !value
}

// wrapper is a command that runs the one behind its own words.
type wrapper struct {
	valued   string // options whose value is the next word
	operands int
}

func (w wrapper) behind(args []string) []string {
	own := 0
	for ; own < len(args) && option.MatchString(args[own]); own++ {
		if len(args[own]) == 2 && strings.Contains(w.valued, args[own][1:]) {
			own++
		}
	}
	return args[min(len(args), own+w.operands):]
}

// unwrapped are the words of a command without those that only run it.
func unwrapped(n *syntax.CallExpr) []string {
	args := renderAll(n.Args)
	for len(args) > 0 {
		w, is := wrappers[path.Base(args[0])]
		if !is {
			return args
		}
		args = w.behind(args[1:])
	}
	return args
}

// carries says whether a program begins at a word behind another program: find -exec env …, xvfb-run bash -c ….
// What runs in a container, and what a package is called, are none.
func carries(args []string, i int) bool {
	name := path.Base(args[i])
	switch {
	case slices.Contains(runners, path.Base(args[0])):
		return false
	case name == "env":
		return args[0] != "go"
	case slices.Contains(shells, name):
		return slices.ContainsFunc(args[i:], scriptOf.MatchString)
	}
	return languages.MatchString(name) && slices.ContainsFunc(args[i:], programOf.MatchString)
}

// maybe notes a word, or the value of an option, that is a file or a folder of the repository, if there is one.
func (s *script) maybe(n syntax.Node, word string) {
	if m := pathOf.FindStringSubmatch(word); s.release && m != nil {
		s.uses = append(s.uses, use{line: s.lineOf(n), name: m[1], optional: true, folders: s.folders})
	}
}

var pathOf = regexp.MustCompile(`^(?:--?[\w-]+=|-[a-zA-Z])?([\w.][\w./@+-]*)$`)

// runs judges what a command has another program run.
func (s *script) runs(n *syntax.CallExpr, name string, args []string) {
	first := func(form *regexp.Regexp, skip int) string { // the word that has the form, or one behind it
		i := slices.IndexFunc(args, form.MatchString)
		if i < 0 || i+skip >= len(args) {
			return ""
		}
		return args[i+skip]
	}
	switch {
	case name == "eval" && s.release && strings.Contains(strings.Join(args, " "), hole):
		s.cannot(s.lineOf(n), "a command that is put together in %s", s.at)
	case name == "eval":
		s.nested(n, strings.Join(args, " "))
	case name == "trap":
		s.nested(n, operand(args))
	case slices.Contains(shells, name):
		s.nested(n, first(scriptOf, 1))
		if file := operand(args); s.release && first(scriptOf, 1) == "" && file != "" {
			s.scriptFile(n, file)
		}
	case awks.MatchString(name) && s.release && strings.Contains(strings.Join(args, " "), "ENVIRON"):
		s.cannot(s.lineOf(n), "a variable that is looked up by a computed name in %s", s.at)
	case (name == "." || name == "source") && len(args) > 0:
		s.sources = true
		s.continues(n, source(n.Args[len(n.Args)-len(args)]))
	case languages.MatchString(name) && s.release:
		s.foreign(s.at, s.lineOf(n), first(programOf, 1))
		if first(programOf, 0) == "" {
			s.scriptFile(n, operand(args))
		}
	case name == "env" && strings.HasPrefix(first(wordOfEnv, 0), hole),
		name == "xargs" && (slices.Contains(args, "env") || strings.Contains(strings.Join(args, " "), "export ")):
		s.cannot(s.lineOf(n), "a computed name in %s", s.at)
	}
}

// nested judges text that the script has a shell read.
func (s *script) nested(n syntax.Node, text string) {
	if s.release && strings.HasPrefix(text, hole) {
		s.cannot(s.lineOf(n), "a command that is put together in %s", s.at)
		return
	}
	text = strings.ReplaceAll(text, hole, unknown)
	child := script{at: s.at, line: s.lineOf(n), flat: true, child: true}
	s.sources = s.shell(child, text, s.release).sources || s.sources
}

// The folder of a script, or of the repository, before the name of a file.
var ownFolder = regexp.MustCompile(
	`^\$\(dirname (?:-- )?"?\$(?:0|\{?BASH_SOURCE)[^)]*\)/|^\$\{?(?:GITHUB_WORKSPACE|PWD)\}?/`)

// continues notes the file that a script sources, or that a container's variables are read from.
func (s *script) continues(n syntax.Node, word string) {
	name := ownFolder.ReplaceAllString(strings.Trim(word, `"'`), "")
	switch {
	case !s.release:
	case strings.ContainsAny(name, "$`<("+hole) || path.IsAbs(name):
		s.cannot(s.lineOf(n), "a file that is sourced and cannot be read in %s", s.at)
	default:
		s.uses = append(s.uses, use{line: s.lineOf(n), from: path.Dir(s.file.Path), name: name, folders: s.folders})
	}
}
