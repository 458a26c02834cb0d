package plan

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/notes"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
)

const guardedName = "hotfix: guarded paths have their reason"

// GuardedRoots are the folders that a hotfix has no business in without a reason.
func GuardedRoots() []string { return []string{"ansible", "catalog", "packer", "policies"} }

// Guarded says whether a hotfix needs a reason to change the path.
func Guarded(file string) bool {
	root, _, nested := strings.Cut(file, "/")
	return nested && slices.Contains(GuardedRoots(), root)
}

func guarded(diff []git.Change, reasons map[string]string) check.Result {
	var touched, unexplained []string
	for _, c := range diff {
		if !Guarded(c.Path) {
			continue
		}
		touched = append(touched, c.Path)
		if !explained(c.Path, reasons) {
			unexplained = append(unexplained, c.Path)
		}
	}
	if len(touched) == 0 {
		return check.NotApplicable(guardedName, "nothing under "+strings.Join(GuardedRoots(), ", ")+" changed")
	}
	if len(unexplained) == 0 {
		return check.Pass(guardedName)
	}
	return check.Fail(guardedName, fault.Verification, "guarded paths changed without a reason",
		"an item for each, or for its folder, under ## "+string(notes.GuardedPaths), strings.Join(unexplained, ", ")).
		WithHint("- " + unexplained[0] + ": why a hotfix has to touch it")
}

// explained says whether the path, or a folder that it lies in, has a reason.
func explained(file string, reasons map[string]string) bool {
	for ; file != "."; file = path.Dir(file) {
		if _, ok := reasons[file]; ok {
			return true
		}
	}
	return false
}

const measuredName = "hotfix: policy and catalog follow MRTD"

// Measured is the spec's "if MRTD changes, must update policy and catalog", for
// a hotfix, once its registers are known. before is what the patched release
// publishes; nil when it could not be read, which a hotfix does not get past.
func (d Decision) Measured(before, after *measurement.Published) check.Result {
	if d.Class != release.Hotfix {
		return check.NotApplicable(measuredName, "not a hotfix")
	}
	if before == nil || after == nil {
		return check.Skip(measuredName, fmt.Sprintf("the measurements of %s are not known", d.Patched))
	}
	var moved, missing []string
	for _, p := range release.Profiles() {
		if before.Profiles[p].MRTD == after.Profiles[p].MRTD {
			continue
		}
		moved = append(moved, string(p))
		if file := fmt.Sprintf("policies/%s.json", p); !d.changes(file) {
			missing = append(missing, file)
		}
	}
	if len(moved) == 0 {
		return check.Pass(measuredName)
	}
	if !d.changes(catalog.Path) {
		missing = append(missing, catalog.Path)
	}
	if len(missing) == 0 {
		return check.Pass(measuredName)
	}
	return check.Fail(measuredName, fault.Verification,
		fmt.Sprintf("MRTD of %s differs from %s", strings.Join(moved, ", "), d.Patched),
		"a change of "+strings.Join(missing, ", "), "unchanged since "+d.Patched.String()).
		WithHint("promote the new measurements (policy:promote) and declare the pair in the catalog, on the hotfix's branch")
}

func (d Decision) changes(file string) bool {
	return slices.ContainsFunc(d.Diff, func(c git.Change) bool { return c.Path == file })
}
