package guard

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// The two checks of guard 4.
const (
	environmentName = "guard 4: no ALLOWED_* in the environment"
	workflowsName   = "guard 4: no ALLOWED_* in workflows"
)

const allowedHint = "measurements come from the release process, TCB statuses from policies/{profile}.json; remove the variable"

// File is a workflow, a local action or a script, by its path in the repository.
type File struct {
	Path string
	Data []byte
}

// maxWorkflow bounds what is read of one file, in bytes. GitHub itself refuses workflows above 1 MiB.
const maxWorkflow = 1 << 20

// Workflows reads what guard 4 looks at in a repository, in path order: every
// workflow under .github/workflows, every action under .github/actions, and the
// shell scripts under .github and in scripts, which workflows may run or source.
func Workflows(repository fs.FS) ([]File, error) {
	var out []File
	for _, root := range []string{".github", "scripts"} {
		err := fs.WalkDir(repository, root, func(name string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && name == root {
				return nil
			}
			if err != nil || d.IsDir() || !isWorkflow(name) && !isAction(name) && !isScript(name) {
				return err
			}
			data, err := readLimited(repository, name)
			if err != nil {
				return err
			}
			out = append(out, File{Path: name, Data: data})
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func isWorkflow(name string) bool {
	return path.Dir(name) == ".github/workflows" && (path.Ext(name) == ".yml" || path.Ext(name) == ".yaml")
}

func isAction(name string) bool {
	base := path.Base(name)
	return strings.HasPrefix(name, ".github/actions/") && (base == "action.yml" || base == "action.yaml")
}

func isScript(name string) bool { return path.Ext(name) == ".sh" }

func readLimited(fsys fs.FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxWorkflow+1))
	if err == nil && len(data) > maxWorkflow {
		err = fmt.Errorf("%s: larger than %d bytes", name, maxWorkflow)
	}
	return data, err
}

// Allowed is guard 4: "release workflows must not set ALLOWED_MRTD,
// ALLOWED_RTMR0, etc. as environment variables". environ is the environment of
// this process ("NAME=value"); values are never shown.
func Allowed(environ []string, files []File) check.Results {
	return check.Results{allowedEnvironment(environ), allowedWorkflows(files)}
}

func allowedEnvironment(environ []string) check.Result {
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

func allowedWorkflows(files []File) check.Result {
	if len(files) == 0 {
		return check.NotApplicable(workflowsName, "no workflow under .github")
	}
	units := make([]*unit, len(files))
	for i, f := range files {
		units[i] = read(f)
	}
	connect(units)
	var found []string
	for _, u := range units {
		for _, x := range u.scan() {
			found = append(found, fmt.Sprintf("%s:%d: %s", u.file.Path, x.line, x.what))
		}
	}
	if len(found) == 0 {
		return check.Pass(workflowsName)
	}
	return check.Fail(workflowsName, fault.Verification, fmt.Sprintf("%d places set or use an ALLOWED_* variable", len(found)),
		"no ALLOWED_* variable in any workflow", strings.Join(found, "; ")).WithHint(allowedHint)
}
