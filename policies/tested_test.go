package policies_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	records "github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

const why = "no quota for TDX before Friday; ticket 7"

// A release that is promoted without E2E says so until one vouches for it.
func TestAReasonStaysUntilE2EVouches(t *testing.T) {
	t.Parallel()
	old, ev := evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2)
	w := working(t, release.Debug, old)
	without, err := policies.PromoteUntested(w, ev, why)
	require.NoError(t, err)
	require.Equal(t, why, without.Measurements[1].WithoutE2E)
	require.Empty(t, without.Measurements[0].WithoutE2E)
	require.Equal(t, without.Measurements[1:], policies.Untested(without.Measurements))
	data, err := without.Encode()
	require.NoError(t, err)
	again, err := policies.DecodeWorking(data)
	require.NoError(t, err)
	require.Equal(t, without, again)

	other, err := policies.PromoteUntested(without, ev, "another reason")
	require.NoError(t, err)
	require.Equal(t, without, other, "the first reason stays")

	released, err := policies.Generate(without, release.Version{Major: 2}, ev)
	require.NoError(t, err, "a tuple with a reason is promoted")
	require.Equal(t, why, released.Measurements[1].WithoutE2E, "the released policy says so too")
	data, err = released.Encode()
	require.NoError(t, err)
	read, err := policies.Decode(data)
	require.NoError(t, err)
	require.Equal(t, released, read)

	seen := ev
	seen.Digest = "sha256:" + strings.Repeat("9", 64)
	seen.Registers = map[release.Profile]tdx.Registers{release.Debug: ev.Registers[release.Debug]}
	moved := seen.Registers[release.Debug]
	moved.MRTD[0] ^= 1
	seen.Registers[release.Debug] = moved
	refreshed, err := policies.Refresh(without, ev.Tag, seen, "2026-05-01")
	require.NoError(t, err)
	require.Equal(t, why, refreshed.Measurements[2].WithoutE2E, "a refreshed tuple inherits the reason")

	proved, err := policies.Promote(refreshed, ev)
	require.NoError(t, err)
	require.Empty(t, policies.Untested(proved.Measurements), "E2E vouches now, and for its image elsewhere")
	back, err := policies.PromoteUntested(proved, ev, why)
	require.NoError(t, err)
	require.Equal(t, proved, back, "what was tested stays tested")
}

func TestWhatIsNoReasonToGoWithoutE2E(t *testing.T) {
	t.Parallel()
	w, ev := working(t, release.Debug), evidence(t, "1.2.0", 2)
	for _, bad := range []string{"", " ", "None.", "n/a", "TODO", "two\nlines", strings.Repeat("x", 501)} {
		_, err := policies.PromoteUntested(w, ev, bad)
		require.Equal(t, fault.Usage, fault.CodeOf(err), bad)
	}
	promoted, err := policies.PromoteUntested(w, ev, why)
	require.NoError(t, err)
	for _, bad := range []string{"None.", "n/a", "\u2060"} {
		promoted.Measurements[0].WithoutE2E = bad
		_, err = promoted.Encode()
		require.Equal(t, fault.Verification, fault.CodeOf(err), "written by hand")
	}
}

func TestARefreshedTupleStandsOnTheTestOfItsImage(t *testing.T) {
	t.Parallel()
	ev := evidence(t, "1.2.0", 2)
	w := working(t, release.Debug, ev)
	m := w.Measurements[0]
	require.Equal(t, fault.MissingAsset, fault.CodeOf(policies.Tests{}.CheckTested(release.Debug, m)))
	seen := m.Registers
	e := &records.E2E{KMS: records.Side{Release: release.Tag{Family: release.KMS, Version: release.Version{Major: 1}}},
		Node: records.Side{Release: m.NodeRelease}, Profiles: []records.Profile{{Profile: release.Debug,
			Node: records.Machine{Seen: &seen}, Checks: []records.Check{{Name: "key", Result: "pass"}}}}}
	tests := policies.Tests{m.NodeRelease: {e}}
	require.Equal(t, fault.Verification, fault.CodeOf(tests.CheckTested(release.Debug, m)), "other measurements")
	m.FirstSeen, m.MRTD = "2026-05-01", tdx.Register{7}
	require.NoError(t, tests.CheckTested(release.Debug, m))
	m.RTMR1 = tdx.Register{7}
	require.Equal(t, fault.Verification, fault.CodeOf(tests.CheckTested(release.Debug, m)), "another image")
	m.WithoutE2E = why
	require.NoError(t, tests.CheckTested(release.Debug, m), "somebody decided")
}

func TestReadTests(t *testing.T) {
	t.Parallel()
	w := working(t, release.Debug, evidence(t, "1.2.0", 2))
	broken := records.Folder{FS: fstest.MapFS{"1.0.0--1.2.0.json": {Data: []byte("{}")}}}
	_, err := policies.ReadTests(t.Context(), broken, w.Measurements)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	w.Measurements[0].WithoutE2E = why
	tests, err := policies.ReadTests(t.Context(), broken, w.Measurements)
	require.NoError(t, err, "nobody asks for the evidence of a release with a reason")
	require.Empty(t, tests)
}

func TestAPolicyThatWasReleasedBeforeTheRevocation(t *testing.T) {
	t.Parallel()
	old, ev := evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2)
	w := working(t, release.Debug, old, ev)
	released, err := policies.Generate(w, release.Version{Major: 2}, ev)
	require.NoError(t, err)
	revoked, _, err := policies.Revoke(w, func(m policies.Measurement) bool { return m.NodeRelease == old.Tag },
		"CVE-2026-0001", "2026-05-02")
	require.NoError(t, err)
	admits := released.StillAdmits(revoked.Revoked)
	require.Len(t, admits, 1)
	require.Equal(t, "a measurement of mero-tee-v1.1.0 that was revoked on 2026-05-02: CVE-2026-0001", admits[0].What())
	require.Empty(t, released.StillAdmits(w.Revoked))
	after, err := policies.Generate(revoked, release.Version{Major: 2, Minor: 1}, ev)
	require.NoError(t, err)
	require.Empty(t, after.StillAdmits(revoked.Revoked))
	for _, bad := range []string{"yesterday", "2026-13-01", "02.05.2026"} {
		revoked.Revoked[0].RevokedOn = bad
		require.Equal(t, fault.Verification, fault.CodeOf(revoked.Check()), bad)
	}
}
