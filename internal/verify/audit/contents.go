package audit

import (
	"context"
	"fmt"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/artifact/sbom"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
	"github.com/calimero-network/mero-tee/policies/schema"
)

// contents reads what the assets say and compares what they say of each other.
func (a *auditor) contents(ctx context.Context) {
	published, err := a.measurements()
	a.add(check.Of("measurements", err))
	if a.Quick {
		a.add(check.Skip("contents", "a quick check reads no other asset than the measurements"))
		return
	}
	listed := sync.OnceValues(a.listed)
	if a.Tag.Family == release.KMS {
		a.policies(ctx)
		a.composeFiles(ctx, published)
		if published != nil { // else said under "measurements"
			a.add(a.platform(ctx, published))
		}
	} else {
		a.nodeImages(ctx, published, listed)
	}
	packages, err := listed()
	if err == nil {
		err = a.describes(packages, published)
	}
	a.add(check.Of("SBOM", err))
	a.provenance(ctx, published)
}

func (a *auditor) measurements() (*measurement.Published, error) {
	data, err := a.read(release.MeasurementsAsset)
	if err != nil {
		return nil, err
	}
	p, err := measurement.Decode(data)
	if err != nil {
		return nil, err
	}
	if p.Tag != a.Tag {
		return nil, fault.Mismatch("the measurements are of another release", a.Tag.String(), p.Tag.String())
	}
	if a.report.Commit != "" && p.Commit != a.report.Commit {
		return nil, fault.Mismatch("the measurements are of another commit than the signatures'", a.report.Commit, p.Commit)
	}
	return p, nil
}

// policies is the spec's "Policy Validation": schema, all registers,
// allowed_tcb_status not empty, and "Stable Must Not Have" policy_not_ready.
func (a *auditor) policies(ctx context.Context) {
	set := map[release.Profile]*policies.Policy{}
	for _, profile := range release.Profiles() {
		p, err := a.policy(profile)
		result := check.Of("policy of "+string(profile), err)
		if err == nil {
			set[profile] = p
			result = result.Noting(untested(p))
		}
		a.add(result)
	}
	if len(set) == len(release.Profiles()) {
		a.add(check.Of("policies keep the profiles apart", policies.CheckSet(set)))
	}
	a.origins(ctx, set)
	a.revocations(ctx, set)
}

// untested names the node releases that were promoted without E2E: no reason to
// refuse the release, and nothing to hide.
func untested(p *policies.Policy) string {
	var out []string
	for _, m := range policies.Untested(p.Measurements) {
		out = append(out, fmt.Sprintf("admits %s without E2E: %s", m.NodeRelease, m.WithoutE2E))
	}
	return strings.Join(out, "; ")
}

func (a *auditor) policy(profile release.Profile) (*policies.Policy, error) {
	data, err := a.read(release.PolicyAsset(profile))
	if err != nil {
		return nil, err
	}
	if err := schema.Validate(data); err != nil {
		return nil, err
	}
	p, err := policies.Decode(data)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Profile != profile:
		err = fault.Mismatch("the policy is of another profile", string(profile), string(p.Profile))
	case p.KMSVersion != a.Tag.Version:
		err = fault.Mismatch("the policy is of another version", a.Tag.Version.String(), p.KMSVersion.String())
	case a.Tag.Stable() && p.NotReady():
		err = &fault.Error{Code: fault.Verification, Message: "a stable release holds a policy that is not ready",
			Expected: "a finalised policy", Got: string(p.Status), Hint: "promote the policy first: docs/policies.md"}
	}
	return p, err
}

// describes: a sound document about other images says nothing of this release's. Where
// no measurements name them, that was said, and its form alone is judged.
func (a *auditor) describes(listed sbom.Packages, published *measurement.Published) error {
	if err := listed.Form(); err != nil || published == nil {
		return err
	}
	var images [][32]byte
	for _, p := range release.Profiles() {
		images = append(images, published.Profiles[p].Image.Digest)
	}
	return listed.Describe(sbom.Subject{Repository: a.Repository, Name: string(a.Tag.Family),
		Version: a.Tag.Version.String(), Images: images})
}

// listed is what the SBOM says, read once for all that ask.
func (a *auditor) listed() (sbom.Packages, error) {
	data, err := a.read(release.SBOMAsset)
	if err != nil {
		return sbom.Packages{}, err
	}
	return sbom.Read(data)
}
