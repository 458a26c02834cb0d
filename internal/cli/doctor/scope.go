package doctor

import (
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

// Scope is what the doctor looks at.
type Scope struct {
	families []release.Family
	steps    []string // of a job; nil: all of the families
}

// Whole is everything that releases of the families need.
func Whole(families ...release.Family) Scope { return Scope{families: families} }

// Job is what a job needs that performs only these steps ("kms:build"): a secret that none of them reads is not missing
// there, and what it would open is not asked. Variables of the repository are the whole release's: every job has them.
func Job(steps ...string) Scope {
	s := Scope{steps: steps}
	for _, f := range release.Families() {
		if slices.ContainsFunc(steps, func(step string) bool { return strings.HasPrefix(step, f.Short()+":") }) {
			s.families = append(s.families, f)
		}
	}
	return s
}

func (s Scope) releases(f release.Family) bool { return slices.Contains(s.families, f) }

// performs says whether one of the steps is in the scope.
func (s Scope) performs(steps ...string) bool {
	return s.steps == nil || slices.ContainsFunc(steps, func(step string) bool { return slices.Contains(s.steps, step) })
}

// reads says whether a step in the scope reads the variable; an empty name is read by all.
func (s Scope) reads(variable string) bool {
	for _, v := range config.Variables() {
		if v.Name == variable {
			return s.performs(slices.Concat(v.Needs, v.Uses)...)
		}
	}
	return true
}
