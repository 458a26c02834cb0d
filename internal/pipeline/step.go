// Package pipeline runs the steps of a release in order, once, and remembers.
//
// Its promise: a step's side effects happen only when the ledger of this tag
// and commit holds every step it needs as passed, with the inputs those steps
// would have now; and a step that passed with the same inputs is not run again.
// Mage orders, the ledger gates.
package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// Digests names what a step reads or leaves behind: a name to a digest
// ("sha256:…") or to a short literal value.
type Digests map[string]string

// Step is one step of a release. Its name is its title in logs, its prefix in
// errors, its key in the ledger and its Mage target.
type Step struct {
	Name  string
	Title string // what it does, as a gerund: "signing every asset"
	Needs []string

	// Inputs digests what the step reads besides the outputs of the steps it needs.
	Inputs func(context.Context) (Digests, error)
	// Outputs reads back what the step left behind. Nil when it leaves nothing that can be read back cheaply.
	Outputs func(context.Context) (Digests, error)
	// Do performs the step. It must be idempotent: it may be killed at any instant and run again.
	Do func(context.Context, *Work) error

	// Publishes marks the step after which the tag is public: from then on no step may run with other inputs.
	Publishes bool
}

// Part names one of several steps that a target performs side by side, for
// example "node:build/debug".
func Part(target, part string) string { return target + "/" + part }

// Target is the Mage target that performs the step.
func (s Step) Target() string {
	target, _, _ := strings.Cut(s.Name, "/")
	return target
}

// Target lists the steps that a target performs, in the graph's order.
func (g Graph) Target(name string) []Step {
	var out []Step
	for _, s := range g {
		if s.Target() == name {
			out = append(out, s)
		}
	}
	return out
}

// Work is what a running step has at hand: where it speaks, and where it writes
// down every effect before it happens.
type Work struct {
	*console.Console
	journal.Journal
}

// Graph is the list of steps of one family, readable from top to bottom.
type Graph []Step

// Check refuses a graph with unknown needs, forward needs or repeated names.
func (g Graph) Check() error {
	seen := map[string]bool{}
	for _, s := range g {
		if seen[s.Name] {
			return fmt.Errorf("step %s is listed twice", s.Name)
		}
		for _, n := range s.Needs {
			if !seen[n] {
				return fmt.Errorf("step %s needs %s, which is not listed above it", s.Name, n)
			}
		}
		if s.Do == nil {
			return fmt.Errorf("step %s does nothing", s.Name)
		}
		seen[s.Name] = true
	}
	return nil
}

// Step finds a step by name.
func (g Graph) Step(name string) (Step, bool) {
	i := slices.IndexFunc(g, func(s Step) bool { return s.Name == name })
	if i < 0 {
		return Step{}, false
	}
	return g[i], true
}
