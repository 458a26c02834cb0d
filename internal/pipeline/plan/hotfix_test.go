package plan_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/pipeline/plan"
	"github.com/calimero-network/mero-tee/internal/provider/git"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

const pathsRule = "hotfix: every changed path has its reason"

// "Minimal diff", "exact change description": no folder of the repository is innocent.
func TestEveryChangedPathHasItsReason(t *testing.T) {
	t.Parallel()
	file := func(exact, other string) string {
		return "# mero-kms-v1.2.1\n\n## Why a patch release\n\nIt burns.\n\n## Reference\n\nINC-42\n\n## Exact change\n\n" +
			"Water.\n\n" + exact + "\n\n## Rollback\n\nBy hand.\n" + other
	}
	for name, tc := range map[string]struct {
		path, exact, other string
		status             check.Status
	}{
		"a dependency":                   {"go.mod", "", "", check.Failed},
		"a workflow":                     {".github/workflows/ci.yaml", "", "", check.Failed},
		"the service's image":            {"docker/mero-kms/Dockerfile", "", "", check.Failed},
		"code":                           {"internal/kms/gate.go", "", "", check.Failed},
		"a policy":                       {"policies/debug.json", "", "", check.Failed},
		"a page":                         {"docs/policies.md", "", "", check.Failed},
		"another release's notes":        {"docs/releases/mero-kms-v1.2.0.md", "", "", check.Failed},
		"another file's reason":          {"go.mod", "- `go.sum`: the fix", "", check.Failed},
		"a reason for all":               {"go.mod", "- .: the fix", "", check.Failed},
		"a reason for a folder above":    {"internal/kms/gate.go", "- internal: the fix", "", check.Failed},
		"a reason for a folder's prefix": {"internal/kms/gate.go", "- internal/km: the fix", "", check.Failed},
		"a reason that is none":          {"go.mod", "- go.mod: none needed", "", check.Failed},
		"a reason of marks":              {"go.mod", "- go.mod: —", "", check.Failed},
		"a mention elsewhere":            {"go.mod", "It changes go.mod: the fix", "", check.Failed},

		"the fix's own":           {"internal/kms/gate.go", "- `internal/kms/gate.go`: closes the hole", "", check.Passed},
		"its folder's":            {"internal/kms/gate.go", "- internal/kms/: closes the hole", "", check.Passed},
		"another path's":          {"go.mod", "", "\n## Other paths\n\n- `go.mod`: the library's fix\n", check.Passed},
		"a path with a space":     {"a b.go", "- `a b.go`: closes the hole", "", check.Passed},
		"its own notes need none": {"docs/releases/mero-kms-v1.2.1.md", "", "", check.Inapplicable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := subject(t, "mero-kms-v1.2.1", "mero-kms-v1.2.0")
			p, err := plan.Prepare(t.Context(), s, []byte(file(tc.exact, tc.other)), branch{[]git.Change{{Path: tc.path}}})
			require.NoError(t, err)
			got := result(t, p.Checks, pathsRule)
			require.Equal(t, tc.status, got.Status, got)
			if tc.status == check.Failed {
				require.Equal(t, fault.Verification, got.Code)
				require.Equal(t, tc.path, got.Got)
				require.Error(t, p.Err())
			}
		})
	}
}

func result(t *testing.T, results check.Results, name string) check.Result {
	t.Helper()
	for _, r := range results {
		if r.Name == name {
			return r
		}
	}
	require.Fail(t, "no such check", name)
	return check.Result{}
}

func published(family release.Family, of func(p *measurement.Profile)) *measurement.Published {
	out := &measurement.Published{Family: family, Profiles: map[release.Profile]measurement.Profile{}}
	for i, name := range release.Profiles() {
		p := measurement.Profile{MRTD: tdx.Register{1}, RTMR0: tdx.Register{2}, RTMR1: tdx.Register{3},
			RTMR2: tdx.Register{byte(4 + i)}, RTMR3: &tdx.Register{byte(7 + i)},
			Image: measurement.Image{OSImage: "dstack-0.5.9", OSImageHash: digest.Of([]byte("os"))}}
		if name == release.Debug && of != nil {
			of(&p)
		}
		out.Profiles[name] = p
	}
	return out
}

func TestCompare(t *testing.T) {
	t.Parallel()
	hotfix := plan.Decision{Class: release.Hotfix}
	before := published(release.Node, nil)
	for name, of := range map[string]func(p *measurement.Profile){
		"mrtd":         func(p *measurement.Profile) { p.MRTD[1] = 9 },
		"rtmr0":        func(p *measurement.Profile) { p.RTMR0[1] = 9 },
		"rtmr1":        func(p *measurement.Profile) { p.RTMR1[1] = 9 },
		"rtmr2":        func(p *measurement.Profile) { p.RTMR2[1] = 9 },
		"rtmr3":        func(p *measurement.Profile) { p.RTMR3 = &tdx.Register{99} },
		"compose hash": func(p *measurement.Profile) { p.Image.ComposeHash = digest.Of([]byte("x")) },
		"OS image":     func(p *measurement.Profile) { p.Image.OSImageHash = digest.Of([]byte("x")) },
	} {
		after := published(release.Node, of)
		moved, r := hotfix.Compare(before, after)
		require.Equal(t, check.Passed, r.Status, name)
		require.Equal(t, plan.Moved{release.Debug: {Now: after.Profiles[release.Debug], Registers: name != "compose hash"}},
			moved, name)
	}
	moved, r := hotfix.Compare(before, published(release.Node, nil))
	require.Empty(t, moved)
	require.Equal(t, "nothing moved", r.Reason)
	_, r = hotfix.Compare(nil, before)
	require.Equal(t, check.Skipped, r.Status, "which no hotfix gets past")
	_, r = hotfix.Compare(before, nil)
	require.Equal(t, check.Skipped, r.Status)
	moved, _ = hotfix.Compare(&measurement.Published{}, before)
	require.Len(t, moved, len(release.Profiles()), "a profile that was not there moved")
	_, r = plan.Decision{Class: release.Stable}.Compare(before, published(release.Node, nil))
	require.Equal(t, check.Inapplicable, r.Status)
}

func tuple(r tdx.Registers) policies.Measurement { return policies.Measurement{Registers: r} }

// "If MRTD changes, must update policy and catalog": to the very values.
func TestFollowed(t *testing.T) {
	t.Parallel()
	tag, counterpart := tagOf(t, "mero-tee-v1.2.1"), tagOf(t, "mero-kms-v1.2.0")
	old := published(release.Node, nil).Profiles[release.Debug].Registers()
	after := published(release.Node, func(p *measurement.Profile) { p.MRTD[1] = 9 })
	now := after.Profiles[release.Debug].Registers()
	moved, _ := plan.Decision{Class: release.Hotfix}.Compare(published(release.Node, nil), after)
	mixed := old
	mixed.MRTD = now.MRTD
	mixed.RTMR2[9] = 9
	pair := declared(t, tag, counterpart)
	for name, tc := range map[string]struct {
		debug   policies.Working
		catalog *catalog.Catalog
		failed  []string
	}{
		"followed": {policies.Working{Measurements: []policies.Measurement{tuple(old), tuple(now)}}, pair, nil},
		"policy in white space only, which says what it said": {
			policies.Working{Measurements: []policies.Measurement{tuple(old)}}, pair, []string{"policy"}},
		"policy of other values": {
			policies.Working{Measurements: []policies.Measurement{tuple(mixed)}}, pair, []string{"policy"}},
		"policy with nothing": {policies.Working{}, pair, []string{"policy"}},
		"policy that revokes them": {policies.Working{Measurements: []policies.Measurement{tuple(now)},
			Revoked: []policies.Revocation{{Registers: now}}}, pair, []string{"policy"}},
		"catalog unchanged": {policies.Working{Measurements: []policies.Measurement{tuple(now)}},
			declared(t, tagOf(t, "mero-tee-v1.2.0"), counterpart), []string{"catalog"}},
		"catalog changed without this pair": {policies.Working{Measurements: []policies.Measurement{tuple(now)}},
			declared(t, tag, tagOf(t, "mero-kms-v1.3.0")), []string{"catalog"}},
		"pair of another profile": {policies.Working{Measurements: []policies.Measurement{tuple(now)}},
			&catalog.Catalog{Entries: []catalog.Entry{{KMS: counterpart.Version, NodeImage: tag.Version,
				Profiles: []release.Profile{release.LockedReadOnly}}}}, []string{"catalog"}},
		"neither": {policies.Working{}, nil, []string{"policy", "catalog"}},
	} {
		results := moved.Followed(tag, counterpart, plan.Governed{Catalog: tc.catalog,
			Policies: map[release.Profile]*policies.Working{release.Debug: &tc.debug}})
		var failed []string
		for _, rule := range []string{"policy", "catalog"} {
			if r := result(t, results, fmt.Sprintf("hotfix: the %s follows the registers", rule)); !r.OK() {
				failed = append(failed, rule)
				require.Equal(t, fault.Verification, r.Code, name)
				require.NotEmpty(t, r.Hint, name)
			}
		}
		require.Equal(t, tc.failed, failed, name)
	}
	for _, r := range (plan.Moved{}).Followed(tag, counterpart, plan.Governed{}) {
		require.Equal(t, check.Inapplicable, r.Status)
	}
}

// A key service's registers are in no working policy: the platforms file has them.
func TestFollowedByAKeyService(t *testing.T) {
	t.Parallel()
	tag, counterpart := tagOf(t, "mero-kms-v1.2.1"), tagOf(t, "mero-tee-v1.2.0")
	before := published(release.KMS, nil)
	after := published(release.KMS, func(p *measurement.Profile) { p.RTMR2[5] = 9 })
	moved, _ := plan.Decision{Class: release.Hotfix}.Compare(before, after)
	platform := func(p measurement.Profile) *measurement.Platforms {
		return &measurement.Platforms{Images: []measurement.Platform{{Image: p.Image.OSImage,
			OSImageHash: p.Image.OSImageHash,
			MRTD:        p.MRTD, RTMR0: p.RTMR0, RTMR1: p.RTMR1, RTMR2: p.RTMR2}}}
	}
	other := after.Profiles[release.Debug]
	other.Image.OSImageHash = digest.Of([]byte("another"))
	named := after.Profiles[release.Debug]
	named.Image.OSImage = "dstack-0.5.10"
	for name, tc := range map[string]struct {
		platforms *measurement.Platforms
		ok        bool
	}{
		"followed":            {platform(after.Profiles[release.Debug]), true},
		"as before":           {platform(before.Profiles[release.Debug]), false},
		"of another OS image": {platform(other), false},
		"under another name":  {platform(named), false},
		"none":                {nil, false},
	} {
		results := moved.Followed(tag, counterpart, plan.Governed{Platforms: tc.platforms,
			Catalog: declared(t, tag, counterpart)})
		require.Equal(t, tc.ok, results.Err() == nil, name)
	}
	compose, _ := plan.Decision{Class: release.Hotfix}.Compare(before,
		published(release.KMS, func(p *measurement.Profile) { p.Image.ComposeHash = digest.Of([]byte("x")) }))
	require.NoError(t, compose.Followed(tag, counterpart, plan.Governed{Catalog: declared(t, tag, counterpart)}).Err(),
		"the compose file alone moved")
	require.Error(t, compose.Followed(tag, counterpart, plan.Governed{}).Err(), "the catalog follows the compose file too")
}

func tagOf(t *testing.T, name string) release.Tag {
	t.Helper()
	tag, err := release.ParseTag(name)
	require.NoError(t, err)
	return tag
}

func declared(t *testing.T, a, b release.Tag) *catalog.Catalog {
	t.Helper()
	c, err := catalog.Declare(&catalog.Catalog{SchemaVersion: catalog.SchemaVersion, Entries: []catalog.Entry{}},
		catalog.PairOf(a, b), "")
	require.NoError(t, err)
	return c
}

func TestDrillsFire(t *testing.T) {
	t.Parallel()
	require.NoError(t, check.Fire(plan.Drills()).Err())
}
