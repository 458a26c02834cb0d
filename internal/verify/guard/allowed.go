package guard

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
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

// inert is what sets no variable: prose, sums, and what only a test compiles.
var inert = regexp.MustCompile(`(?:\.(?:md|sum|mod)|_test\.go)$`)

// Workflows reads what guard 4 looks at in a repository, in path order: what
// builds and releases, the files at the top that programs read by themselves
// (Makefile, .env), and whatever those use.
func Workflows(repository fs.FS) ([]File, error) {
	var names []string
	for _, root := range []string{".", ".github", "scripts", "docker", "packer", "ansible", "magefiles"} {
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
	var out []File
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
		if imagePath.MatchString(f.Path) {
			continue
		}
		for _, u := range judge(f).uses {
			for _, name := range u.candidates() {
				if info, err := fs.Stat(repository, name); err == nil && info.Mode().IsRegular() {
					names = append(names, name)
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return out, nil
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
	optional bool // it may be no file of the repository at all
}

func (u use) candidates() []string {
	var out []string
	for _, dir := range []string{".", u.from} {
		clean := path.Join(dir, u.name)
		out = append(out, clean, path.Join(clean, "action.yml"), path.Join(clean, "action.yaml"))
	}
	return out
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
