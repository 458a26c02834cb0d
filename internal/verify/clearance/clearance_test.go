package clearance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/github"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/verify/clearance"
)

// Each rule fires in its bad case and not in its good one.
func TestDrills(t *testing.T) {
	t.Parallel()
	require.NoError(t, check.Fire(clearance.Drills()).Err())
}

// Our own checks are required with and without a rule, and one of a rule by the app that the rule names.
func TestRequired(t *testing.T) {
	t.Parallel()
	one := func(context string, app int64) github.RequiredCheck {
		return github.RequiredCheck{Context: context, App: app}
	}
	for name, tc := range map[string]struct{ rules, want []github.RequiredCheck }{
		"no rule": {nil, []github.RequiredCheck{one("ci", 0), one("pr-doc-guard", 0)}},
		"a rule for one": {[]github.RequiredCheck{one("ci", 15368)},
			[]github.RequiredCheck{one("ci", 15368), one("pr-doc-guard", 0)}},
		"another name": {[]github.RequiredCheck{one("licences", 7), one("licences", 7)},
			[]github.RequiredCheck{one("ci", 0), one("licences", 7), one("pr-doc-guard", 0)}},
		"one name, two apps": {[]github.RequiredCheck{one("ci", 1), one("ci", 2)},
			[]github.RequiredCheck{one("ci", 1), one("ci", 2), one("pr-doc-guard", 0)}},
	} {
		require.Equal(t, tc.want, clearance.Required(tc.rules), name)
	}
}

// "The full path of the workflow", in each form that GitHub has for it.
func TestTheRunsWorkflow(t *testing.T) {
	t.Parallel()
	tag := release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}
	for path, code := range map[string]fault.Code{
		".github/workflows/release-kms-phala.yaml":                      fault.Success,
		"o/r/.github/workflows/release-kms-phala.yaml@refs/tags/x":      fault.Success,
		".github/workflows/release-node-image-gcp.yaml":                 fault.Verification,
		".github/workflows/x-release-kms-phala.yaml":                    fault.Verification,
		"release-kms-phala.yaml":                                        fault.Verification,
		".github/workflows/ci.yaml@.github/workflows/release-kms-phala": fault.Verification,
		"": fault.Verification,
	} {
		p := clearance.Promotion{Tag: tag, Commit: "c", Run: github.WorkflowRun{Path: path, Event: "push",
			HeadBranch: tag.String(), HeadSHA: "c"}}
		_, results := p.Judge()
		require.Equal(t, code, fault.CodeOf(results[0].Err()), path)
	}
}

// Without a name of who pushed, nobody can be told from them.
func TestNobodyPushed(t *testing.T) {
	t.Parallel()
	p := clearance.Promotion{Reviews: []github.DeploymentReview{{State: github.ReviewApproved,
		User: github.User{Login: "ben"}}}}
	approvals, results := p.Judge()
	require.Empty(t, approvals)
	require.Equal(t, fault.Verification, fault.CodeOf(results[2].Err()))
}
