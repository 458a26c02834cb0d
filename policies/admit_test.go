package policies_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func TestAdmitsWholeTuplesOnly(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	old, latest := p.Measurements[0].Registers, p.Measurements[1].Registers
	require.NoError(t, p.Admits(old, "UpToDate"))
	require.NoError(t, p.Admits(latest, "UpToDate"))

	mixed := latest
	mixed.RTMR1 = old.RTMR1
	var v *policies.Violation
	require.ErrorAs(t, p.Admits(mixed, "UpToDate"), &v, "each value is allowed, together they are not")
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
			require.ErrorAs(t, p.Admits(got, "UpToDate"), &v)
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
	require.ErrorContains(t, p.Admits(got, "UpToDate"), "; rtmr3 differ too")
}

func TestAdmitsTCB(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	for _, status := range []string{"OutOfDate", "Revoked", "", "uptodate"} {
		var v *policies.Violation
		require.ErrorAs(t, p.Admits(p.Measurements[0].Registers, status), &v)
		require.Equal(t, policies.Violation{Register: "tcb_status", Got: status, Nearest: "UpToDate"}, *v)
	}
}

// "Attestation verification is relaxed — all MRTD/RTMR values are accepted": the values, not the TCB status.
func TestNotReadyRelaxesRegistersOnly(t *testing.T) {
	t.Parallel()
	p, err := policies.Generate(working(t, release.Debug), version(t, "1.2.0-rc.1"), policies.Evidence{})
	require.NoError(t, err)
	require.True(t, p.NotReady())
	require.NoError(t, p.Admits(tdx.Registers{}, "UpToDate"))
	require.Error(t, p.Admits(tdx.Registers{}, "OutOfDate"))

	p.Status = "" // a policy that no Check has seen still admits nothing
	require.ErrorContains(t, p.Admits(registers(release.Debug, 1), "UpToDate"), "mrtd")
}
