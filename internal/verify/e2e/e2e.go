// Package e2e is the judgement of step 11: the released key service, running,
// against nodes of the counterpart release and of every other release that the
// compatibility catalog lists.
//
// Its promise: every check of the explicit list has a result, also when the
// thing it looks at never came up; no key leaves a node, and what a node says
// counts only when its quote proves the node and the service's quote proves
// what it saw; and what was deployed is deleted when Run returns, on failure
// and cancellation too.
package e2e

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
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

var _ Provider = (*dstack.Client)(nil)

// Release is an audited KMS release, as it was downloaded, and its counterpart.
type Release struct {
	KMS         *measurement.Published            // published-mrtds.json
	Node        *measurement.Published            // of the counterpart node release
	AppCompose  map[release.Profile][]byte        // app-compose-{profile}.json
	ComposeHash map[release.Profile]digest.Digest // compose-hash.txt
	NotReady    bool                              // the release's policies say policy_not_ready
}

// Run is one run of the end-to-end test. All fields are required, but Others,
// Stale and Appraiser.
type Run struct {
	ID        string // of this run: part of its deployments' names, so that two runs do not meet
	Release   Release
	Others    []Pair            // guardrail A: what the catalog lists besides the release and its counterpart
	Stale     *Stale            // guardrail C: nil when there is no older policy
	Profiles  []release.Profile // whose key release is judged: the production profile, or more
	Provider  Provider
	Nodes     agent.Nodes
	Verifier  *tdx.Verifier
	HostTCB   tcb.List     // what is accepted of the machine under the key service
	HTTP      *http.Client // reaches the key service
	Appraiser Appraiser    // of every quote; nil when there is no key for one, and its checks are skipped
}

// Report is what a Run found.
type Report struct {
	Tag      release.Tag       // of the KMS release
	Node     release.Tag       // of the node release it was tried with
	Profiles []release.Profile // whose key release was judged
	Results  check.Results
	Matrix   Matrix // guardrail A
	Observed []Observation

	Appraisals []Appraisal
}

// Observation is one machine as its verified quote shows it.
type Observation struct {
	Family    release.Family
	Version   release.Version
	Profile   release.Profile
	Registers tdx.Registers
	TCB       tdx.Status
}

// The profiles of guardrail B: "Deploy a debug-profile node and a locked-read-only KMS policy."
const (
	intrudingProfile = release.Debug
	policyProfile    = release.LockedReadOnly
)

// cleanupPatience bounds the deletion of what was deployed.
const cleanupPatience = 2 * time.Minute

// Execute deploys, judges and deletes. It always returns a report; whether the
// release passed is Report.Results.Err.
func (t *Run) Execute(ctx context.Context) *Report {
	r := &Report{Tag: t.Release.KMS.Tag, Node: t.Release.Node.Tag, Profiles: t.Profiles}
	s := t.stage()
	defer func() { r.Results = append(r.Results, s.clear(ctx)) }()
	s.set(ctx)
	r.Results, r.Matrix = s.judge()
	appraised, evidence := s.appraise(ctx)
	r.Results, r.Appraisals = append(r.Results, appraised...), evidence
	r.Observed = s.observed()
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
