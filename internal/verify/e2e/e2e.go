// Package e2e is the judgement of step 11: the released key service, running,
// against nodes of the counterpart release and of every other release that the
// compatibility catalog lists. It has the spec's two suites, which run together
// on the same machines or each alone.
//
// Its promise: every check of the explicit list has a result, also when the
// thing it looks at never came up; a check says to which of the spec's steps and
// guardrails it belongs, and in what a service differs from its release; no key
// leaves a node, and what a node says counts only when its quote proves the node
// and the service's quote proves what it saw; and what was deployed is deleted
// when Run returns, on failure and cancellation too.
package e2e

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/provider/dstack"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Provider runs applications; *dstack.Client is one. Deploy leaves nothing
// behind when it fails.
type Provider interface {
	Deploy(ctx context.Context, app dstack.App) (*dstack.Deployment, error)
	Delete(ctx context.Context, id string) error
}

// Inventory lists the names of every application that a provider has.
type Inventory interface {
	Names(ctx context.Context) ([]string, error)
}

var (
	_ Provider  = (*dstack.Client)(nil)
	_ Inventory = (*dstack.Client)(nil)
)

// Release is an audited KMS release, as it was downloaded, and its counterpart.
type Release struct {
	KMS         *measurement.Published            // published-mrtds.json
	Node        *measurement.Published            // of the counterpart node release
	AppCompose  map[release.Profile][]byte        // app-compose-{profile}.json
	ComposeHash map[release.Profile]digest.Digest // compose-hash.txt
	NotReady    bool                              // the release's policies say policy_not_ready

	// Updated are app-compose files that name the policy which policy:promote
	// would make, of the profiles whose released policy does not admit Node.
	Updated map[release.Profile][]byte
}

// Run is one run of the end-to-end test. All fields are required, but Others,
// Known, Appraiser and Wait.
type Run struct {
	ID        string // of this run: part of its deployments' names, so that two runs do not meet
	Suites    []Suite
	Release   Release
	Others    []Pair            // guardrail A: what the catalog lists besides the release and its counterpart
	Stale     []Stale           // guardrail C
	Known     Checks            // what was decided before anything ran
	Profiles  []release.Profile // whose key release is judged: the production profile, or more
	Provider  Provider
	Inventory Inventory // where Provider's deployments would be, if they were left
	Nodes     agent.Nodes
	Verifier  *tdx.Verifier
	HostTCB   tcb.List     // what is accepted of the machine under the key service
	HTTP      *http.Client // reaches the key service
	Appraiser Appraiser    // of every quote; nil when there is no key for one, and its checks are skipped

	Wait func(ctx context.Context, d time.Duration) error // between questions after the clean-up; nil: retry.For
}

// has says whether a suite is to run.
func (t *Run) has(s Suite) bool { return slices.Contains(t.Suites, s) }

// The profiles of guardrail B: "Deploy a debug-profile node and a locked-read-only KMS policy."
const (
	intrudingProfile = release.Debug
	policyProfile    = release.LockedReadOnly
)

// Execute deploys, judges and deletes. It always returns a report; whether the
// release passed is Report.Checks.Results().Err.
func (t *Run) Execute(ctx context.Context) *Report {
	r := &Report{Tag: t.Release.KMS.Tag, Node: t.Release.Node.Tag, Profiles: t.Profiles, Suites: t.Suites}
	s := t.stage()
	defer func() { r.Checks = append(r.Checks, s.clear(ctx)) }()
	s.set(ctx)
	r.Checks, r.Matrix = s.judge()
	appraised, evidence := s.appraise(ctx)
	r.Checks, r.Appraisals = append(r.Checks, appraised...), evidence
	r.Deployed, r.Observed = s.deployments(), s.observed()
	return r
}

// including is profiles and p, each once, in the spec's order.
func including(profiles []release.Profile, p release.Profile) []release.Profile {
	var out []release.Profile
	for _, known := range release.Profiles() {
		if known == p || slices.Contains(profiles, known) {
			out = append(out, known)
		}
	}
	return out
}
