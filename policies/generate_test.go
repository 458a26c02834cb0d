package policies_test

import (
	"strings"
	"testing"
	"testing/fstest"

	"os"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

// zeroTuple is a revoked measurement that would match nothing.
var zeroTuple = strings.ReplaceAll(`{"mrtd":"0","rtmr0":"0","rtmr1":"0","rtmr2":"0","rtmr3":"0","reason":"x"}`,
	`"0"`, `"`+strings.Repeat("0", 96)+`"`)

func TestGenerateStableEqualsWhatWasPromoted(t *testing.T) {
	t.Parallel()
	old, counterpart := evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2)
	w := working(t, release.Debug, old, counterpart)
	p, err := policies.Generate(w, version(t, "1.2.0"), counterpart)
	require.NoError(t, err)
	require.False(t, p.NotReady())
	require.Equal(t, w.Measurements, p.Measurements)

	again, err := policies.Generate(w, version(t, "1.2.0"), counterpart)
	require.NoError(t, err)
	require.Equal(t, p, again)
	again.Measurements[0].MRTD[0]++
	require.NotEqual(t, again.Measurements[0], w.Measurements[0], "the working policy is left alone")
}

func TestGenerateStableRefuses(t *testing.T) {
	t.Parallel()
	old, counterpart := evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2)
	republished, otherValue, wrongProfile := evidence(t, "1.2.0", 2), evidence(t, "1.2.0", 3), evidence(t, "1.2.0", 2)
	republished.Digest = old.Digest
	otherValue.Digest = counterpart.Digest
	wrongProfile.Registers[release.Debug] = counterpart.Registers[release.LockedReadOnly]
	incomplete := evidence(t, "1.2.0", 2)
	delete(incomplete.Registers, release.Debug)
	for name, tc := range map[string]struct {
		promoted []policies.Evidence
		given    policies.Evidence
		want     string
	}{
		"nothing promoted": {nil, counterpart, "no promoted debug measurement"},
		"other release":    {[]policies.Evidence{old}, counterpart, "no promoted debug measurement"},
		"no counterpart":   {[]policies.Evidence{old}, policies.Evidence{}, "no promoted debug measurement"},
		"evidence changed": {[]policies.Evidence{counterpart}, republished,
			"evidence of mero-tee-v1.2.0 (debug) differs"},
		"value changed":         {[]policies.Evidence{counterpart}, otherValue, "rtmr1, rtmr2 of mero-tee-v1.2.0 differs"},
		"rtmr3 of another":      {nil, wrongProfile, "rtmr3 of mero-tee-v1.2.0 is not that of profile debug"},
		"profile not published": {nil, incomplete, "publishes no measurement"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := policies.Generate(working(t, release.Debug, tc.promoted...), version(t, "1.2.0"), tc.given)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
	_, err := policies.Generate(working(t, release.Debug), version(t, "1.2.0"), counterpart)
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Equal(t, "policy:promote", f.Hint)
}

func TestGenerateCandidate(t *testing.T) {
	t.Parallel()
	old, counterpart := evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2)
	p, err := policies.Generate(working(t, release.Debug, old), version(t, "1.2.0-rc.1"), counterpart)
	require.NoError(t, err)
	require.Equal(t, policies.NotReady, p.Status)
	require.Len(t, p.Measurements, 2)
	require.Equal(t, counterpart.Tag, p.Measurements[1].NodeRelease,
		"the candidate tuple comes last, where promoting puts it")

	promoted, err := policies.Generate(working(t, release.Debug, old, counterpart), version(t, "1.2.0-rc.1"), counterpart)
	require.NoError(t, err)
	require.False(t, promoted.NotReady())
	require.Equal(t, p.Measurements, promoted.Measurements)
}

func TestRevokedTuplesLeaveThePolicy(t *testing.T) {
	t.Parallel()
	old, counterpart := evidence(t, "1.1.0", 1), evidence(t, "1.2.0", 2)
	w := working(t, release.Debug, old, counterpart)
	w.Revoked = []policies.Revocation{{Registers: old.Registers[release.Debug], Reason: "CVE-2026-0001"}}
	p, err := policies.Generate(w, version(t, "1.2.0"), counterpart)
	require.NoError(t, err)
	require.Len(t, p.Measurements, 1)
	require.Error(t, p.Admits(old.Registers[release.Debug], upToDate, today))

	for _, v := range []string{"1.1.0", "1.1.0-rc.1"} {
		_, err = policies.Generate(w, version(t, v), old)
		require.ErrorContains(t, err, "the debug measurement of mero-tee-v1.1.0 is revoked: CVE-2026-0001")
	}
	_, err = policies.Promote(w, old)
	require.ErrorContains(t, err, "is revoked")
	require.Equal(t, fault.Verification, fault.CodeOf(err))
}

func TestPromoteIsPureAndIdempotent(t *testing.T) {
	t.Parallel()
	w, ev := working(t, release.LockedReadOnly), evidence(t, "1.2.0", 2)
	once, err := policies.Promote(w, ev)
	require.NoError(t, err)
	require.Empty(t, w.Measurements)
	twice, err := policies.Promote(once, ev)
	require.NoError(t, err)
	require.Equal(t, once, twice)
	_, err = policies.Promote(w, policies.Evidence{})
	require.ErrorContains(t, err, "no node release")
}

func TestCheckSet(t *testing.T) {
	t.Parallel()
	set := func() map[release.Profile]*policies.Policy {
		out := map[release.Profile]*policies.Policy{}
		for _, p := range release.Profiles() {
			out[p] = ready(t, p)
		}
		return out
	}
	require.NoError(t, policies.CheckSet(set()), "MRTD, RTMR0 and RTMR1 are equal in all three")
	for name, tc := range map[string]struct {
		change func(map[release.Profile]*policies.Policy)
		want   string
	}{
		"missing": {func(s map[release.Profile]*policies.Policy) { delete(s, release.Debug) }, "policies of other profiles"},
		"nil":     {func(s map[release.Profile]*policies.Policy) { s[release.DebugReadOnly] = nil }, "policy is missing"},
		"swapped": {func(s map[release.Profile]*policies.Policy) { s[release.Debug] = s[release.LockedReadOnly] },
			"policy of another profile"},
		"version": {func(s map[release.Profile]*policies.Policy) { s[release.LockedReadOnly].KMSVersion.Patch++ },
			"two KMS versions"},
		"broken": {func(s map[release.Profile]*policies.Policy) { s[release.Debug].AllowedTCBStatus = nil },
			"allowed_tcb_status is empty"},
		"rtmr2 same": {func(s map[release.Profile]*policies.Policy) {
			setRTMR2(s, release.Debug, s[release.LockedReadOnly].AllowedRTMR2[0])
		}, "rtmr2 is allowed in two profiles"},
		"rtmr3 wrong": {func(s map[release.Profile]*policies.Policy) {
			setRTMR3(s, release.LockedReadOnly, tdx.ProfileRTMR3("debug"))
		}, "rtmr3 of mero-tee-v1.1.0 is not that of profile locked-read-only"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := set()
			tc.change(s)
			err := policies.CheckSet(s)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

func setRTMR2(s map[release.Profile]*policies.Policy, p release.Profile, v tdx.Register) {
	s[p].Measurements[0].RTMR2, s[p].AllowedRTMR2[0] = v, v
}

func setRTMR3(s map[release.Profile]*policies.Policy, p release.Profile, v tdx.Register) {
	for i := range s[p].Measurements {
		s[p].Measurements[i].RTMR3 = v
	}
	s[p].AllowedRTMR3[0] = v
}

func TestShippedWorkingPolicies(t *testing.T) {
	t.Parallel()
	all, err := policies.LoadDir(os.DirFS("."))
	require.NoError(t, err)
	require.Len(t, all, 3)
	for p, w := range all {
		require.Equal(t, p, w.Profile)
		b, err := w.Encode()
		require.NoError(t, err)
		onDisk, err := os.ReadFile(policies.File(p))
		require.NoError(t, err)
		require.Equal(t, string(b), string(onDisk), "in the canonical form")
	}
}

func TestLoadDirRefuses(t *testing.T) {
	t.Parallel()
	shipped := func() fstest.MapFS {
		fsys := fstest.MapFS{}
		for _, p := range release.Profiles() {
			b, err := working(t, p, evidence(t, "1.2.0", 2)).Encode()
			require.NoError(t, err)
			fsys[policies.File(p)] = &fstest.MapFile{Data: b}
		}
		return fsys
	}
	_, err := policies.LoadDir(shipped())
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		change func(fstest.MapFS)
		want   string
		code   fault.Code
	}{
		"missing":  {func(f fstest.MapFS) { delete(f, "debug.json") }, "working policy of debug", fault.MissingAsset},
		"misspelt": {func(f fstest.MapFS) { f["locked.json"] = f["debug.json"] }, "unknown file", fault.Verification},
		"misplaced": {func(f fstest.MapFS) { f["debug.json"] = f["locked-read-only.json"] }, "policy of another profile",
			fault.Verification},
		"not JSON": {func(f fstest.MapFS) { f["debug.json"] = &fstest.MapFile{Data: []byte("{")} }, "not a working policy",
			fault.Verification},
		"no lists": {func(f fstest.MapFS) {
			f["debug.json"] = &fstest.MapFile{
				Data: []byte(`{"schema_version":"1","profile":"debug","allowed_tcb_status":["UpToDate"]}`)}
		}, "is missing", fault.Verification},
		"no revoked": {func(f fstest.MapFS) {
			f["debug.json"] = &fstest.MapFile{
				Data: []byte(`{"schema_version":"1","profile":"debug","allowed_tcb_status":["UpToDate"],"measurements":[]}`)}
		}, `key "revoked" is missing`, fault.Verification},
		"zero revoked": {func(f fstest.MapFS) {
			f["debug.json"] = &fstest.MapFile{Data: []byte(`{"schema_version":"1","profile":"debug",` +
				`"allowed_tcb_status":["UpToDate"],"measurements":[],"revoked":[` + zeroTuple + `]}`)}
		}, "revoked[0]: mrtd is missing or zero", fault.Verification},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fsys := shipped()
			tc.change(fsys)
			_, err := policies.LoadDir(fsys)
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, tc.code, fault.CodeOf(err))
		})
	}
}

func TestRevocationNeedsAReason(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", " ", "None.", "TODO", "n/a", "\u2060", "a\nb", "see above", "a \u202e b"} {
		w := working(t, release.Debug)
		w.Revoked = []policies.Revocation{{Registers: registers(release.Debug, 1), Reason: text}}
		_, err := w.Encode()
		require.ErrorContains(t, err, "gives no reason", "%q", text)
		require.Equal(t, fault.Verification, fault.CodeOf(err))
	}
}

// A policy that is made stale is sound, and admits nobody whom it admitted, for the MRTD alone.
func TestWithOtherMRTD(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	before := p.Measurements[0].Registers
	stale, err := p.WithOtherMRTD()
	require.NoError(t, err)
	require.NoError(t, stale.Check())
	require.Equal(t, before, p.Measurements[0].Registers, "the policy itself is left as it was")
	for i, m := range p.Measurements {
		diffs := stale.Measurements[i].Compare(m.Registers)
		require.Len(t, diffs, 1)
		require.Equal(t, "mrtd", diffs[0].Name)
	}
}
