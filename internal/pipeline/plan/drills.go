package plan

import (
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/git"
)

// Drills are the cases of the rules that follow from a release's class: one in
// which the rule must fire with that code, one in which it must not.
func Drills() []check.Drill {
	return hotfixDrills()
}

func hotfixDrills() []check.Drill {
	touched := []git.Change{{Path: "ansible/node.yml", Added: 1}}
	return []check.Drill{
		{Name: guardedName, Bad: guarded(touched, nil), Code: fault.Verification,
			Good: guarded(touched, map[string]string{"ansible": "the fix is there"})},
	}
}
