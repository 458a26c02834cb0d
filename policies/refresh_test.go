package policies_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

const day = "2026-05-01"

// moved is what the platform shows of the image of ev after its firmware changed.
func moved(ev policies.Evidence, firmware byte) policies.Evidence {
	out := policies.Evidence{Tag: ev.Tag, Digest: "sha256:" + strings.Repeat("e", 64),
		Registers: map[release.Profile]tdx.Registers{}}
	for p, r := range ev.Registers {
		r.MRTD, r.RTMR0 = register(firmware), register(firmware+1)
		out.Registers[p] = r
	}
	return out
}

func TestRefreshAddsPlatformRegistersBesideTheOldOnes(t *testing.T) {
	t.Parallel()
	released := evidence(t, "1.2.0", 2)
	w := working(t, release.Debug, evidence(t, "1.1.0", 1), released)
	seen := moved(released, 0xc0)
	got, err := policies.Refresh(w, released.Tag, seen, day)
	require.NoError(t, err)
	require.Len(t, w.Measurements, 2, "the working policy itself is left as it was")
	require.Equal(t, w.Measurements, got.Measurements[:2], "the old ones stay")
	require.Equal(t, policies.Measurement{NodeRelease: released.Tag, Evidence: seen.Digest, FirstSeen: day,
		Registers: seen.Registers[release.Debug]}, got.Measurements[2])
	require.True(t, got.Measurements[2].Refreshed())

	again, err := policies.Refresh(got, released.Tag, seen, "2026-06-01")
	require.NoError(t, err)
	require.Equal(t, got, again, "first seen stays first seen")
	same, err := policies.Refresh(w, released.Tag, released, day)
	require.NoError(t, err)
	require.Equal(t, w, same, "nothing moved")

	p, err := policies.Generate(got, version(t, "1.2.0"), released)
	require.NoError(t, err)
	require.NoError(t, p.Admits(seen.Registers[release.Debug], upToDate, today))
	b, err := p.Encode()
	require.NoError(t, err)
	require.Contains(t, string(b), `"first_seen": "2026-05-01"`)
	back, err := policies.Decode(b)
	require.NoError(t, err)
	require.Equal(t, p, back)
	require.Equal(t, released.Tag, got.ReleasedAs(moved(released, 0xd0).Registers[release.Debug]))
	require.Zero(t, got.ReleasedAs(evidence(t, "1.3.0", 3).Registers[release.Debug]))
}

func TestRefreshRefuses(t *testing.T) {
	t.Parallel()
	released := evidence(t, "1.2.0", 2)
	change := func(f func(*tdx.Registers)) policies.Evidence {
		ev := moved(released, 0xc0)
		r := ev.Registers[release.Debug]
		f(&r)
		ev.Registers[release.Debug] = r
		return ev
	}
	good := change(func(*tdx.Registers) {})
	revokedRelease := func(w *policies.Working) *policies.Working {
		out, _, err := policies.Revoke(w, func(policies.Measurement) bool { return true }, "CVE-2026-1", "2026-05-02")
		require.NoError(t, err)
		return out
	}
	revokedTuple := func(w *policies.Working) *policies.Working {
		w.Revoked = append(w.Revoked, policies.Revocation{Registers: good.Registers[release.Debug], Reason: "bad firmware"})
		return w
	}
	none := func(w *policies.Working) *policies.Working { return w }
	for name, tc := range map[string]struct {
		prepare func(*policies.Working) *policies.Working
		seen    policies.Evidence
		day     string
		want    string
	}{
		"rtmr1": {none, change(func(r *tdx.Registers) { r.RTMR1 = register(9) }), day,
			"rtmr1 is not that of mero-tee-v1.2.0: this is another image"},
		"rtmr2": {none, change(func(r *tdx.Registers) { r.RTMR2 = register(9) }), day,
			"rtmr2 is not that of mero-tee-v1.2.0: this is another image"},
		"rtmr3": {none, change(func(r *tdx.Registers) { r.RTMR3 = register(9) }), day,
			"rtmr3 of mero-tee-v1.2.0 is not that of profile debug"},
		"zero": {none, change(func(r *tdx.Registers) { r.MRTD = tdx.Register{} }), day,
			"mrtd is missing or zero"},
		"day":             {none, good, "1 May", "first_seen is not a day"},
		"no such day":     {none, good, "2026-02-30", "first_seen is not a day"},
		"revoked tuple":   {revokedTuple, good, day, "is revoked: bad firmware"},
		"revoked release": {revokedRelease, good, day, "no debug measurement of mero-tee-v1.2.0 stands"},
		"never promoted": {func(*policies.Working) *policies.Working { return working(t, release.Debug) }, good, day,
			"no debug measurement of mero-tee-v1.2.0 stands"},
		"not this profile": {none, policies.Evidence{Tag: released.Tag, Digest: released.Digest}, day,
			"publishes no measurement of the profile"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := policies.Refresh(tc.prepare(working(t, release.Debug, released)), released.Tag, tc.seen, tc.day)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

// Whoever edits the file by hand cannot slip another image in as a refresh either.
func TestARefreshedTupleOfAnotherImageIsRefused(t *testing.T) {
	t.Parallel()
	released := evidence(t, "1.2.0", 2)
	w, err := policies.Refresh(working(t, release.Debug, released), released.Tag, moved(released, 0xc0), day)
	require.NoError(t, err)
	w.Measurements[1].RTMR2 = register(9)
	require.ErrorContains(t, w.Check(), "another image")
	w.Measurements[1].RTMR2 = w.Measurements[0].RTMR2
	require.NoError(t, w.Check())
}

func TestRevokeTakesOutAndRemembers(t *testing.T) {
	t.Parallel()
	old, released := evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2)
	again := evidence(t, "1.1.1", 1) // the same image, released twice
	again.Digest = "sha256:" + strings.Repeat("f", 64)
	w := working(t, release.Debug, old, released, again)
	of := func(tag release.Tag) func(policies.Measurement) bool {
		return func(m policies.Measurement) bool { return m.NodeRelease == tag }
	}
	got, gone, err := policies.Revoke(w, of(old.Tag), "CVE-2026-0001", "2026-05-02")
	require.NoError(t, err)
	require.Len(t, w.Measurements, 3, "the working policy itself is left as it was")
	require.Len(t, gone, 2, "what has the same registers goes too")
	require.Equal(t, []policies.Revocation{{NodeRelease: old.Tag, Registers: old.Registers[release.Debug],
		Reason: "CVE-2026-0001", RevokedOn: "2026-05-02"}}, got.Revoked)
	require.Len(t, got.Measurements, 1)

	twice, gone, err := policies.Revoke(got, of(old.Tag), "another reason", "2026-05-02")
	require.NoError(t, err)
	require.Empty(t, gone)
	require.Equal(t, got, twice, "the reason that was given first stays")
	for _, ev := range []policies.Evidence{old, again} {
		_, err = policies.Promote(got, ev)
		require.ErrorContains(t, err, "is revoked: CVE-2026-0001")
		require.Equal(t, fault.Verification, fault.CodeOf(err))
	}
	b, err := got.Encode()
	require.NoError(t, err)
	back, err := policies.DecodeWorking(b)
	require.NoError(t, err)
	require.Equal(t, got, back)

	_, _, err = policies.Revoke(w, of(old.Tag), " ", "2026-05-02")
	require.ErrorContains(t, err, "gives no reason")
	twice.Revoked = append(twice.Revoked, twice.Revoked[0])
	require.ErrorContains(t, twice.Check(), "revoked twice")
	got.Revoked[0].NodeRelease.Family = release.KMS
	require.ErrorContains(t, got.Check(), "not a node release")
}
