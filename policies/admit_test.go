package policies_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func TestAdmitsWholeTuplesOnly(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	old, latest := p.Measurements[0].Registers, p.Measurements[1].Registers
	require.NoError(t, p.Admits(old, upToDate, today))
	require.NoError(t, p.Admits(latest, upToDate, today))

	mixed := latest
	mixed.RTMR1 = old.RTMR1
	var v *policies.Violation
	require.ErrorAs(t, p.Admits(mixed, upToDate, today), &v, "each value is allowed, together they are not")
	require.Equal(t, "rtmr2", v.Register, "one difference from 1.1.0 too, and the first tuple wins")
	require.Equal(t, "mero-tee-v1.1.0", v.Release.String())
}

func TestAdmitsFiresForEachRegister(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	latest := p.Measurements[1].Registers
	for name, change := range map[string]func(*tdx.Registers) *tdx.Register{
		"mrtd":  func(r *tdx.Registers) *tdx.Register { return &r.MRTD },
		"rtmr0": func(r *tdx.Registers) *tdx.Register { return &r.RTMR0 },
		"rtmr1": func(r *tdx.Registers) *tdx.Register { return &r.RTMR1 },
		"rtmr2": func(r *tdx.Registers) *tdx.Register { return &r.RTMR2 },
		"rtmr3": func(r *tdx.Registers) *tdx.Register { return &r.RTMR3 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := latest
			change(&got)[47] ^= 1
			var v *policies.Violation
			require.ErrorAs(t, p.Admits(got, upToDate, today), &v)
			require.Equal(t, policies.Violation{Register: name, Got: change(&got).String(),
				Nearest: change(&latest).String(), Release: p.Measurements[1].NodeRelease}, *v)
			require.ErrorContains(t, v, name+" "+v.Got+" is not allowed; nearest "+v.Nearest+" of mero-tee-v1.2.0")
		})
	}
}

func TestViolationNamesEveryDifference(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	got := p.Measurements[1].Registers
	got.MRTD, got.RTMR3 = register(1), register(2)
	require.ErrorContains(t, p.Admits(got, upToDate, today), "; rtmr3 differ too")
}

func TestAdmitsTCB(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	for _, status := range []string{"OutOfDate", "Revoked", "", "uptodate"} {
		var v *policies.Violation
		require.ErrorAs(t, p.Admits(p.Measurements[0].Registers, tcb.Platform{Status: tdx.Status(status)}, today), &v)
		require.Equal(t, policies.Violation{Register: "tcb_status", Got: status, Nearest: "UpToDate", File: "debug.json"}, *v)
	}
}

// A waiver admits what it names until its last day; then the refusal names it and the file to change.
func TestAdmitsWhatIsWaivedUntilItsEnd(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	p.TCBWaivers = []tcb.Waiver{{Status: "OutOfDate", FMSPC: "b0c06f000000", Reason: "r", Until: "2026-11-26"}}
	host := tcb.Platform{Status: tdx.OutOfDate, FMSPC: "b0c06f000000"}
	require.NoError(t, p.Admits(p.Measurements[0].Registers, host, today))
	require.EqualError(t, p.Admits(p.Measurements[0].Registers, host, today.Add(24*time.Hour)), "tcb_status OutOfDate is "+
		"not allowed; nearest UpToDate, by policies/debug.json, where tcb_waivers (status, reason, until) can accept it "+
		"for a while; its waiver has ended: OutOfDate of FMSPC b0c06f000000 until 2026-11-26")
	host.FMSPC = "000000000000"
	require.ErrorContains(t, p.Admits(p.Measurements[0].Registers, host, today), "by policies/debug.json")
}

// "Attestation verification is relaxed — all MRTD/RTMR values are accepted": the values, not the TCB status.
func TestNotReadyRelaxesRegistersOnly(t *testing.T) {
	t.Parallel()
	p, err := policies.Generate(working(t, release.Debug), version(t, "1.2.0-rc.1"), policies.Evidence{})
	require.NoError(t, err)
	require.True(t, p.NotReady())
	require.NoError(t, p.Admits(tdx.Registers{}, upToDate, today))
	require.Error(t, p.Admits(tdx.Registers{}, tcb.Platform{Status: tdx.OutOfDate}, today))

	p.Status = "" // a policy that no Check has seen still admits nothing
	require.ErrorContains(t, p.Admits(registers(release.Debug, 1), upToDate, today), "mrtd")
}
