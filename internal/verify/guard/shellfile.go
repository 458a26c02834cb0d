package guard

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"mvdan.cc/sh/v3/syntax"
)

// Clause 5, of shells: what one reads is in the file, or in a file of the repository.
var shells = strings.Fields("sh bash dash")

// operand is the first word behind a command's options; empty where there is none.
func operand(args []string) string {
	i := slices.IndexFunc(args, func(a string) bool { return !strings.HasPrefix(a, "-") && !strings.HasPrefix(a, "+") })
	if i < 0 || slices.ContainsFunc(args[:i], takesValue.MatchString) && i+1 == len(args) {
		return ""
	}
	return args[i]
}

// takesValue are options of a shell whose value is the next word: -o pipefail.
var takesValue = regexp.MustCompile(`^[-+][a-zA-Z]*[oO]$`)

// scriptFile judges the file that an interpreter is told to read.
func (s *script) scriptFile(n syntax.Node, name string) {
	if strings.HasPrefix(name, hole) && bytesOfProcess(n) {
		s.cannot(s.lineOf(n), "a script that is put together in %s", s.at)
	}
}

// bytesOfProcess says whether a command reads what another one prints as a file: bash <(…).
func bytesOfProcess(n syntax.Node) bool {
	found := false
	syntax.Walk(n, func(n syntax.Node) bool {
		_, is := n.(*syntax.ProcSubst)
		found = found || is
		return !found
	})
	return found
}

// input judges the script that a shell, or a program of another language, reads from its standard input.
func (s *script) input(st *syntax.Stmt) {
	if pipe, ok := st.Cmd.(*syntax.BinaryCmd); ok && (pipe.Op == syntax.Pipe || pipe.Op == syntax.PipeAll) {
		if s.release && !slices.ContainsFunc(pipe.Y.Redirs, isInput) && fed(pipe.Y) != "" {
			s.cannot(s.lineOf(st), "a script that a shell gets from another command in %s", s.at)
		}
		return
	}
	interpreter := fed(st)
	if interpreter == "" {
		return
	}
	for _, r := range st.Redirs {
		switch {
		case r.Hdoc != nil && languages.MatchString(interpreter):
			if s.release {
				s.foreign(s.at, s.lineOf(st), render(r.Hdoc.Parts))
			}
		case r.Hdoc != nil:
			s.nested(st, render(r.Hdoc.Parts))
		case r.Op == syntax.WordHdoc:
			s.nested(st, render(r.Word.Parts))
		case r.Op == syntax.RdrIn:
			s.continues(st, source(r.Word))
		}
	}
}

func isInput(r *syntax.Redirect) bool {
	return r.Hdoc != nil || r.Op == syntax.WordHdoc || r.Op == syntax.RdrIn
}

// fed is the interpreter, in a statement, whose script is what the statement is given to read.
func fed(st *syntax.Stmt) (interpreter string) {
	syntax.Walk(st, func(n syntax.Node) bool {
		inner, ok := n.(*syntax.Stmt)
		if !ok || interpreter != "" {
			return interpreter == ""
		}
		if inner != st && slices.ContainsFunc(inner.Redirs, isInput) {
			return false
		}
		if call, ok := inner.Cmd.(*syntax.CallExpr); ok {
			interpreter = readsInput(call)
		}
		return true
	})
	return interpreter
}

// readsInput is the interpreter that a command starts and tells no file and no text to run.
func readsInput(call *syntax.CallExpr) string {
	args := unwrapped(call)
	if len(args) > 0 && path.Base(args[0]) == "env" { // it runs what stands behind its options and settings
		i := slices.IndexFunc(args[1:], wordOfEnv.MatchString)
		args = args[1+max(i, 0):]
	}
	if len(args) == 0 {
		return ""
	}
	name := path.Base(args[0])
	shell, tells := slices.Contains(shells, name), programOf
	if shell {
		tells = scriptOf
	}
	file := operand(args[1:])
	told := slices.ContainsFunc(args, tells.MatchString) ||
		file != "" && file != "/dev/stdin" && !(shell && slices.Contains(args, "-s"))
	if told || !shell && !languages.MatchString(name) {
		return ""
	}
	return name
}

// Where a script may be when it names a file: where its step begins, and where it goes.
var stepFolder = regexp.MustCompile(`working-directory["']?:\s*["']?([^\s"'#,}]+)`)

func (j *judgement) foldersOf(f *syntax.File) []string {
	begins := []string{"."}
	if j.github {
		for _, m := range stepFolder.FindAllSubmatch(j.file.Data, -1) {
			begins = append(begins, string(m[1]))
		}
	}
	out := begins
	syntax.Walk(f, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok {
			return true
		}
		if args := unwrapped(call); len(args) == 2 && (args[0] == "cd" || args[0] == "pushd") && len(out) < maxFolders {
			for _, from := range begins {
				out = append(out, path.Join(from, args[1]))
			}
		}
		return true
	})
	return out
}

// maxFolders bounds what a script with many "cd" can cost.
const maxFolders = 64

// lookUps finds what makes the path of GITHUB_ENV, or another variable's value, of a name that is put together. A
// statement that only looks, and hands what it sees to nobody, may.
func (s *script) lookUps(st *syntax.Stmt, reads bool) {
	kept := false // what is found is the value of a variable
	var walk func(n syntax.Node) bool
	walk = func(n syntax.Node) bool {
		at := 0
		switch n := n.(type) {
		case *syntax.Assign:
			if n.Value != nil && !kept {
				kept = true
				syntax.Walk(n.Value, walk)
				kept = false
				return false
			}
		case *syntax.ParamExp:
			indirect := n.Excl && n.Names == 0 && n.Index == nil
			if indirect && (!reads || kept) || commandFile(n) {
				at = s.lineOf(n)
			}
		case *syntax.DeclClause:
			if n.Variant.Value != "export" && slices.ContainsFunc(n.Args, func(a *syntax.Assign) bool {
				return a.Naked && a.Value != nil && reference.MatchString(render(a.Value.Parts))
			}) {
				at = s.lineOf(n)
			}
		case *syntax.CmdSubst:
			if dumps(n) && (!reads || kept) {
				at = s.lineOf(n)
			}
		case *syntax.Redirect:
			if n.Word != nil && n.Hdoc == nil && n.Op != syntax.RdrIn && patterned(n.Word) {
				at = s.lineOf(n)
			}
		}
		if at > 0 {
			s.cannot(at, "a variable or a file that is looked up by a computed name in %s", s.at)
		}
		return true
	}
	syntax.Walk(st, walk)
}

var (
	reference = regexp.MustCompile(`^-\w*n`) // declare -n: a variable that stands for another
	others    = regexp.MustCompile(`^GITHUB_(?:OUTPUT|STATE|PATH|STEP_SUMMARY)$`)
	allOfThem = regexp.MustCompile(`/proc/[^\s"']*environ|(?:^|[\s(|;&])(?:env(?:\s*[|;)]|\s*$)|` +
		"(?:export|declare|typeset) -\\w*p|printenv(?:\\s*[|;)]|\\s*$|[^\\n]*[$`]))")
)

// commandFile says whether the path of a file beside GITHUB_ENV is made another path of.
func commandFile(p *syntax.ParamExp) bool {
	return p.Param != nil && others.MatchString(p.Param.Value) && (p.Repl != nil || p.Exp != nil || p.Slice != nil)
}

// dumps says whether a substitution prints all variables, or one by a computed name, or the folder of the files that
// GitHub's commands are written to.
func dumps(c *syntax.CmdSubst) bool {
	text := strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(source(c)), "$("), ")")
	return allOfThem.MatchString(text) || folderOf.MatchString(text)
}

var folderOf = regexp.MustCompile(`\b(?:dirname|realpath|readlink)\b[^\n]*GITHUB_`)

// patterned says whether a word outside quotes may name any file.
func patterned(w *syntax.Word) bool {
	return slices.ContainsFunc(w.Parts, func(p syntax.WordPart) bool {
		lit, ok := p.(*syntax.Lit)
		return ok && strings.ContainsAny(lit.Value, "*?[")
	})
}
