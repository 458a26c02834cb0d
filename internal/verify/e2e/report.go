package e2e

import (
	"fmt"
	"io"
	"slices"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Suite is one of the spec's two: "Two test suites run independently."
type Suite string

// Their names are the spec's.
const (
	NodeSuite      Suite = "mero-tee-node E2E"
	GuardrailSuite Suite = "KMS-Node E2E Guardrails"
)

// Suites lists both.
func Suites() []Suite { return []Suite{NodeSuite, GuardrailSuite} }

// Part is one of the steps or guardrails of a suite, in the spec's words.
type Part string

// The parts, in the spec's order.
const (
	DeployNode       Part = "step 1, deploy node"
	BootVerification Part = "step 2, boot verification"
	KMSAttestation   Part = "step 3, KMS attestation"
	KeyRelease       Part = "step 4, key release"
	Cleanup          Part = "step 5, cleanup"

	CrossVersion           Part = "guardrail A, cross-version"
	ProfileIsolation       Part = "guardrail B, profile isolation"
	StalePolicy            Part = "guardrail C, stale policy"
	MeasurementConsistency Part = "guardrail D, measurement consistency"
	GuardrailCleanup       Part = "guardrails, cleanup" // of a run without the other suite, which has its own
)

// Suite is the one that the part belongs to.
func (p Part) Suite() Suite {
	switch p {
	case DeployNode, BootVerification, KMSAttestation, KeyRelease, Cleanup:
		return NodeSuite
	}
	return GuardrailSuite
}

// title begins the names of the part's checks.
func (p Part) title() string {
	if p.Suite() == NodeSuite {
		return string(NodeSuite) + ", " + string(p)
	}
	return string(p)
}

// Check is a result and where it belongs.
type Check struct {
	Suite    Suite
	Part     Part
	Profiles []release.Profile // that it says something about; none: about the run, and so about every profile
	Result   check.Result      // its name begins with the part's
}

// NewCheck is a result of a part; its name is said in the part's words.
func NewCheck(p Part, r check.Result, profiles ...release.Profile) Check {
	r.Name = p.title() + ": " + r.Name
	return Check{Suite: p.Suite(), Part: p, Profiles: profiles, Result: r}
}

// Concerns says that the check says something about a profile.
func (c Check) Concerns(p release.Profile) bool {
	return len(c.Profiles) == 0 || slices.Contains(c.Profiles, p)
}

// Checks are the results of a run, in the order in which they were made.
type Checks []Check

// Results are the checks' results alone.
func (cs Checks) Results() check.Results {
	out := make(check.Results, len(cs))
	for i, c := range cs {
		out[i] = c.Result
	}
	return out
}

// Judged are the checks with results that a rule made of theirs, such as check.Results.Strict.
func (cs Checks) Judged(rule func(check.Results) check.Results) Checks {
	out := slices.Clone(cs)
	for i, r := range rule(cs.Results()) {
		out[i].Result = r
	}
	return out
}

// Concerning are the checks that say something about a profile.
func (cs Checks) Concerning(p release.Profile) Checks {
	return slices.DeleteFunc(slices.Clone(cs), func(c Check) bool { return !c.Concerns(p) })
}

// Of are the checks of a suite.
func (cs Checks) Of(s Suite) Checks {
	return slices.DeleteFunc(slices.Clone(cs), func(c Check) bool { return c.Suite != s })
}

// tally is how many of the checks passed.
func (cs Checks) tally() string {
	return fmt.Sprintf("%d of %d passed", cs.Results().Count(check.Passed), len(cs))
}

// Report is what a Run found.
type Report struct {
	Tag      release.Tag       // of the KMS release
	Node     release.Tag       // of the node release it was tried with
	Profiles []release.Profile // whose key release was judged
	Suites   []Suite           // that ran
	Checks   Checks
	Matrix   Matrix // guardrail A
	Deployed []Deployed
	Observed []Observation

	Appraisals []Appraisal
}

// Deployed is a key service of the run, and in what it differs from its release.
type Deployed struct {
	KMS         release.Tag     `json:"kms"`
	Profile     release.Profile `json:"profile"`
	Unchanged   bool            `json:"unchanged"`        // the release's own compose file and policy
	Policy      string          `json:"policy,omitempty"` // which other policy the compose file was made to name
	ComposeHash digest.Digest   `json:"compose_hash"`
}

// Write says how each suite and profile fared, in which version pairs nodes got
// their keys, and which artifacts of the releases were not tried as they are.
func (r *Report) Write(w io.Writer) error {
	for _, s := range r.Suites {
		_, _ = fmt.Fprintf(w, "%s: %s\n", s, r.Checks.Of(s).tally())
	}
	for _, p := range r.Profiles {
		_, _ = fmt.Fprintf(w, "checks that concern %s: %s\n", p, r.Checks.Concerning(p).tally())
	}
	if len(r.Matrix) > 0 {
		if err := r.Matrix.Write(w); err != nil {
			return err
		}
	}
	unchanged := true
	for _, d := range r.Deployed {
		if !d.Unchanged {
			unchanged = false
			_, _ = fmt.Fprintf(w, "reconfigured: service %s of %s, with %s\n", d.Profile, d.KMS, d.Policy)
		}
	}
	if unchanged {
		_, _ = fmt.Fprintln(w, "every key service ran as released")
	}
	return nil
}

// Observation is one machine as its verified quote shows it.
type Observation struct {
	Family    release.Family
	Version   release.Version
	Profile   release.Profile
	Registers tdx.Registers
	TCB       tdx.Status
}
