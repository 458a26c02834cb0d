// Package guard holds the spec's four guards, which "prevent broken or
// inconsistent releases from being published".
//
// Its promise: a guard is a function of what it is given and answers with
// results that say what was expected and what was found. What it cannot read
// it does not clear, and Drills show that each of them fires.
package guard

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

const versionName = "guard 2: version sync"

// Version is guard 2: "validates that the tag version matches MERO_KMS_VERSION
// or MERO_TEE_VERSION in the repository variables". variable is the value of
// the one that belongs to the tag's family, empty when it is not set. A tag of
// the wrong shape has code Usage, a disagreement code Verification.
func Version(tag, variable string) check.Result {
	t, err := release.ParseTag(tag)
	if err != nil {
		return check.Of(versionName, err)
	}
	name, want := t.Family.VersionVariable(), t.Version.String()
	if variable == want {
		return check.Pass(versionName)
	}
	reason, got := name+" disagrees with the tag", fmt.Sprintf("%s=%q", name, variable)
	hint := fmt.Sprintf("set the repository variable %s to %s, or push the tag of the version it holds", name, want)
	if variable == "" {
		reason, got = name+" is not set", name+" unset"
		hint += "; a variable that is set in a GitHub environment does not reach this job"
	}
	return check.Fail(versionName, fault.Verification, reason, fmt.Sprintf("%s=%s for %s", name, want, t), got).
		WithHint(hint)
}
