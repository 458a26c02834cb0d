package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// The two checks of guard 4.
const (
	environmentName = "guard 4: no ALLOWED_* in the environment"
	workflowsName   = "guard 4: no ALLOWED_* in workflows"
)

const allowedHint = "measurements come from the release process, TCB statuses from policies/{profile}.json; " +
	"remove the variable"

// File is a file that can set variables of a release, by its path in the repository.
type File struct {
	Path string
	Data []byte
}

// maxFile bounds what is read of one file, in bytes. GitHub itself refuses workflows above 1 MiB.
const maxFile = 1 << 20

// inert is what sets no variable: prose, forms for people, sums, and what only a test compiles.
var inert = regexp.MustCompile(`(?:\.(?:md|sum|mod)|_test\.go)$|^\.github/(?:ISSUE|DISCUSSION)_TEMPLATE/`)

// Workflows is Reader.Workflows, once.
func Workflows(repository fs.FS) ([]File, error) { return new(Reader).Workflows(repository) }

// Reader reads a repository again and again, as each step of a release does for its inputs, and follows a file whose
// bytes it has seen without judging them anew. Its zero value is ready for use, also by several at a time.
type Reader struct{ uses sync.Map } // of what a File uses, by its path and its bytes

func (r *Reader) usesOf(f File) []use {
	key := f.Path + "\x00" + digest.Of(f.Data).Hex()
	if known, ok := r.uses.Load(key); ok {
		return known.([]use)
	}
	uses := judge(f).uses
	r.uses.Store(key, uses)
	return uses
}

// Workflows reads what guard 4 looks at in a repository, in path order: what
// builds and releases, the files at the top that programs read by themselves
// (Makefile, .env), and whatever those use.
func (r *Reader) Workflows(repository fs.FS) ([]File, error) {
	names, err := regularFiles(repository, ".", ".github", "scripts", "docker", "packer", "ansible", "magefiles")
	if err != nil {
		return nil, err
	}
	var out []File
	looked := map[string]bool{}
	for i := 0; i < len(names); i++ { // what a file uses may use more
		if inert.MatchString(names[i]) || slices.Contains(names[:i], names[i]) {
			continue
		}
		data, err := readLimited(repository, names[i])
		if err != nil {
			return nil, err
		}
		f := File{Path: names[i], Data: data}
		out = append(out, f)
		if imagePath.MatchString(f.Path) && !namesFiles.MatchString(f.Path) {
			continue
		}
		for _, u := range r.usesOf(f) {
			for _, at := range u.places() {
				if !looked[at] {
					looked[at], names = true, append(names, filesAt(repository, at)...)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
}

// regularFiles are the files of folders, without test data; of the top, those that lie in it.
func regularFiles(repository fs.FS, roots ...string) ([]string, error) {
	var names []string
	for _, root := range roots {
		err := fs.WalkDir(repository, root, func(name string, d fs.DirEntry, err error) error {
			switch {
			case errors.Is(err, fs.ErrNotExist) && name == root:
				return nil
			case err != nil:
				return err
			case d.IsDir() && name != root && (root == "." || d.Name() == "testdata"):
				return fs.SkipDir
			case d.Type().IsRegular():
				names = append(names, name)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return names, nil
}

func readLimited(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := file.ReadAll(f, maxFile)
	if err != nil {
		err = fmt.Errorf("%s: %w", name, err)
	}
	return data, err
}

// Allowed is guard 4: "release workflows must not set ALLOWED_MRTD,
// ALLOWED_RTMR0, etc. as environment variables". environ is the environment of
// this process ("NAME=value"); values are never shown.
//
// What a file holds is judged by five clauses, in prose and comments by none:
//  1. it may not name a variable of the spec, nor ALLOWED_ anything in upper case, but to look at it;
//  2. where it sets or looks up a variable, the name may not start with ALLOWED_ in any case;
//  3. where it sets a variable, the name is written out, so that clause 2 can be applied;
//  4. what it appends to GITHUB_ENV is lines NAME=value, by clauses 2 and 3;
//  5. what it runs is a language that is followed, in a file that is there.
//
// A breach of clauses 1 and 2 is named; of the others it is said that the file cannot be judged.
// Nothing is evaluated: Environment sees what a computation put there.
func Allowed(environ []string, files []File) check.Results {
	return check.Results{Environment(environ), allowedWorkflows(files)}
}

// Environment is the part of guard 4 that every step begins with: whatever put
// an ALLOWED_ variable into the environment of the process, it is seen here.
func Environment(environ []string) check.Result {
	var found []string
	for _, e := range environ {
		if name, _, _ := strings.Cut(e, "="); startsAllowed(name) {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return check.Pass(environmentName)
	}
	return check.Fail(environmentName, fault.Verification, "the process environment overrides the policy",
		"no ALLOWED_* variable", strings.Join(found, ", ")).WithHint(allowedHint)
}

// use is another file of the repository that a file runs, sources or calls.
type use struct {
	line     int
	from     string // folder of the file that uses it
	name     string
	optional bool     // it may be no file of the repository at all
	folders  []string // where else it may lie
}

// places are where what is used may lie.
func (u use) places() (out []string) {
	for _, dir := range append([]string{".", u.from}, u.folders...) {
		out = append(out, path.Join(dir, u.name))
	}
	return out
}

// byThemselves are the files of a folder that a program reads when it is told the folder, or works in it.
var byThemselves = strings.Fields("action.yml action.yaml Makefile makefile GNUmakefile Dockerfile Containerfile " +
	".env compose.yaml compose.yml docker-compose.yaml docker-compose.yml")

// candidates are the files that may be what is used.
func (u use) candidates() (out []string) {
	for _, at := range u.places() {
		out = append(out, filesOf(at)...)
	}
	return out
}

// filesOf are the place itself and, if it is a folder, the files in it that programs read by themselves.
func filesOf(at string) []string {
	out := []string{at}
	for _, name := range byThemselves {
		out = append(out, path.Join(at, name))
	}
	return out
}

// filesAt are those of them that are there.
func filesAt(repository fs.FS, at string) []string {
	if _, err := fs.Stat(repository, at); err != nil {
		return nil
	}
	return slices.DeleteFunc(filesOf(at), func(name string) bool {
		info, err := fs.Stat(repository, name)
		return err != nil || !info.Mode().IsRegular()
	})
}

// judgement is what guard 4 says of one file.
type judgement struct {
	file     File
	github   bool     // a workflow or an action
	release  bool     // what it runs is part of a release, not of the image that is released
	named    []string // places that name a variable
	unjudged []string // places that cannot be judged
	uses     []use
	left     int // nodes that may still be visited

	literalMatrix bool // each value of each matrix is one line that is written out
}

// add notes a variable that is named at a place.
func (j *judgement) add(line int, name, at string) {
	note(&j.named, fmt.Sprintf("%s:%d: %s in %s", j.file.Path, line, name, at))
}

func (j *judgement) cannot(line int, format string, args ...any) {
	note(&j.unjudged, fmt.Sprintf("%s:%d: cannot be judged: ", j.file.Path, line)+fmt.Sprintf(format, args...))
}

func note(list *[]string, place string) {
	if !slices.Contains(*list, place) {
		*list = append(*list, place)
	}
}

// variable judges the name of a variable that is set.
func (j *judgement) variable(line int, name, at string) {
	switch {
	case startsAllowed(name):
		j.add(line, name, at)
	case name == "BASH_ENV", strings.HasPrefix(name, "BASH_FUNC_"):
		j.cannot(line, "%s, a script that every step would begin with, in %s", name, at)
	}
}

var (
	workflowPath = regexp.MustCompile(`^\.github/workflows/[^/]+\.ya?ml$`)
	actionPath   = regexp.MustCompile(`(?:^|/)action\.ya?ml$`)
	shellPath    = regexp.MustCompile(`\.(?:sh|bash)$|(?:^|/)\.envrc$`)
	plainPath    = regexp.MustCompile(`(?:^|/)(?:[^./]+|\.env[^/]*|[^/]+\.env)$`)
	imagePath    = regexp.MustCompile(`^(?:ansible|packer|docker|magefiles)/`)
	namesFiles   = regexp.MustCompile(`\.ya?ml$`) // of what an image is made of: these name further files
	makePath     = regexp.MustCompile(`(?i)(?:^|/)(?:[^/]*makefile|dockerfile|containerfile)[^/]*$`)
	included     = regexp.MustCompile(`(?m)^[ \t]*[-s]?include[ \t]+(\S.*)$`) // by a Makefile
	otherShell   = regexp.MustCompile(`(?i)\.(?:[zk]sh|mksh|t?csh|fish|nu|ps1|psm1|bat|cmd)$`)
	otherLine    = regexp.MustCompile(`^#!\s*\S*/(?:env\s+(?:-S\s+)?)?(?:[zk]sh|mksh|t?csh|fish|nu|pwsh)\b`)
	shellLine    = regexp.MustCompile(`^#!\s*\S*/(?:env\s+(?:-S\s+)?)?(?:ba|da)?sh\b`)
)

// judge reads a file by the rules of its kind.
func judge(f File) *judgement {
	github := workflowPath.MatchString(f.Path) || actionPath.MatchString(f.Path)
	j := &judgement{file: f, github: github, release: !imagePath.MatchString(f.Path) || github, left: maxNodes}
	text, ext := string(f.Data), path.Ext(f.Path)
	switch {
	case github || ext == ".yml" || ext == ".yaml" || ext == ".json":
		j.documents()
	case shellPath.MatchString(f.Path) || shellLine.MatchString(text):
		j.shell(script{at: "script"}, text, true)
	case j.release && (otherShell.MatchString(f.Path) || otherLine.MatchString(text)):
		j.text("it", 1, text)
		j.cannot(1, "a script for another shell")
	case j.release && (strings.HasPrefix(text, "#!") || programs.MatchString(f.Path)) && ext != ".go":
		j.foreign("it", 1, text)
	default:
		j.text("it", 1, text)
		for _, m := range included.FindAllStringSubmatch(text, -1) {
			for _, name := range strings.Fields(m[1]) {
				j.uses = append(j.uses, use{name: name, from: path.Dir(f.Path), optional: true})
			}
		}
		if plainPath.MatchString(f.Path) && !makePath.MatchString(f.Path) && !strings.HasPrefix(text, "#!") {
			j.shell(script{at: "script"}, text, false) // it may be there to be sourced
		}
	}
	return j
}

func allowedWorkflows(files []File) check.Result {
	if len(files) == 0 {
		return check.NotApplicable(workflowsName, "no workflow under .github")
	}
	isRead := func(name string) bool {
		return slices.ContainsFunc(files, func(f File) bool { return f.Path == name })
	}
	var named, unjudged []string
	for _, f := range files {
		j := judge(f)
		for _, u := range j.uses {
			if !u.optional && !slices.ContainsFunc(u.candidates(), isRead) {
				j.cannot(u.line, "%.100s is used and was not read", u.name)
			}
		}
		named, unjudged = append(named, j.named...), append(unjudged, j.unjudged...)
	}
	got := strings.Join(append(named, unjudged...), "; ")
	switch {
	case len(named) > 0:
		reason := fmt.Sprintf("%d places set or use an ALLOWED_* variable", len(named))
		return check.Fail(workflowsName, fault.Verification, reason,
			"no ALLOWED_* variable in any workflow", got).WithHint(allowedHint)
	case len(unjudged) > 0:
		reason := fmt.Sprintf("%d places cannot be judged", len(unjudged))
		return check.Fail(workflowsName, fault.Verification, reason,
			"files in which every variable that is set can be read", got).
			WithHint("write names out, and write NAME=value lines to GITHUB_ENV; docs/releasing.md has the forms")
	}
	return check.Pass(workflowsName)
}
