package plan

import (
	"fmt"
	"path"
	"strings"

	"github.com/calimero-network/mero-tee/docs/releases"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

const pathsName = "hotfix: every changed path has its reason"

// reasoned is the spec's "minimal diff" and "exact change description": what a hotfix touches is named by whoever
// made it, path by path, and why. What the fix itself is stands under "Exact change", what had to move with it under
// "Other paths"; no folder is innocent, for a dependency or a workflow changes what is released as much as a policy.
// The release's own notes need none.
func reasoned(tag release.Tag, diff []git.Change, reasons map[string]string) check.Result {
	touched, unexplained := 0, []string(nil)
	for _, c := range diff {
		if c.Path == releases.Path(tag) {
			continue
		}
		touched++
		if !explained(c.Path, reasons) {
			unexplained = append(unexplained, c.Path)
		}
	}
	if touched == 0 {
		return check.NotApplicable(pathsName, "nothing but its notes changed")
	}
	if len(unexplained) == 0 {
		return check.Pass(pathsName)
	}
	return check.Fail(pathsName, fault.Verification, "paths changed without a reason",
		"an item for each, or for the folder that it lies in, under ## "+string(notes.ExactChange)+" or ## "+
			string(notes.OtherPaths), few(unexplained)).
		WithHint("- `" + unexplained[0] + "`: what changed there, and why a hotfix has to touch it")
}

const maxNamed = 10 // paths in one line

func few(paths []string) string {
	text := strings.Join(paths[:min(maxNamed, len(paths))], ", ")
	if more := len(paths) - maxNamed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// explained says whether the path has a reason, or the folder in which it lies. A reason for a folder does not reach
// into the folders below it, or one line would excuse anything.
func explained(file string, reasons map[string]string) bool {
	if _, own := reasons[file]; own {
		return true
	}
	folder := path.Dir(file)
	_, of := reasons[folder]
	return of && folder != "."
}
