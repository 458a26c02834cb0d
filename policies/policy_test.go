package policies_test

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestEncodeGolden(t *testing.T) {
	t.Parallel()
	got, err := ready(t, release.Debug).Encode()
	require.NoError(t, err)
	golden := filepath.Join("testdata", release.PolicyAsset(release.Debug))
	if *update {
		require.NoError(t, os.WriteFile(golden, got, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))

	back, err := policies.Decode(got)
	require.NoError(t, err)
	require.Equal(t, ready(t, release.Debug), back)
}

func TestFlatListsHoldEachValueOnceInOrder(t *testing.T) {
	t.Parallel()
	p := ready(t, release.Debug)
	require.Len(t, p.Measurements, 2)
	require.Equal(t, []tdx.Register{p.Measurements[0].MRTD}, p.AllowedMRTD, "the platform's register is the same in both")
	require.Equal(t, []tdx.Register{p.Measurements[0].RTMR2, p.Measurements[1].RTMR2}, p.AllowedRTMR2)
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*policies.Policy)
		want   string
	}{
		"schema version": {func(p *policies.Policy) { p.SchemaVersion = "2" }, "schema_version"},
		"no version":     {func(p *policies.Policy) { p.KMSVersion = release.Version{} }, "kms_version is missing"},
		"profile":        {func(p *policies.Policy) { p.Profile = "production" }, "unknown profile"},
		"status":         {func(p *policies.Policy) { p.Status = "ready" }, "unknown status"},
		"not ready when stable": {func(p *policies.Policy) { p.Status = policies.NotReady },
			"policy_not_ready in a stable release"},
		"no tuple": {func(p *policies.Policy) {
			p.Measurements, p.AllowedMRTD, p.AllowedRTMR0, p.AllowedRTMR1, p.AllowedRTMR2, p.AllowedRTMR3 =
				[]policies.Measurement{}, []tdx.Register{}, []tdx.Register{}, []tdx.Register{}, []tdx.Register{}, []tdx.Register{}
		}, "holds no measurement"},
		"tuples missing": {func(p *policies.Policy) {
			p.KMSVersion.Candidate, p.Status, p.Measurements = 1, policies.NotReady, nil
		}, "measurements is missing"},
		"tuple twice": {func(p *policies.Policy) { p.Measurements = append(p.Measurements, p.Measurements[0]) },
			"appears twice"},
		"too many": {func(p *policies.Policy) { p.Measurements = make([]policies.Measurement, 513) }, "too many"},
		"kms release": {func(p *policies.Policy) { p.Measurements[0].NodeRelease.Family = release.KMS },
			"not a node release"},
		"evidence": {func(p *policies.Policy) { p.Measurements[1].Evidence = "sha256:abc" }, "not a digest"},
		"zero mrtd": {func(p *policies.Policy) { p.Measurements[0].MRTD = tdx.Register{} },
			"mrtd is missing or zero"},
		"zero rtmr3": {func(p *policies.Policy) { p.Measurements[1].RTMR3 = tdx.Register{} },
			"rtmr3 is missing or zero"},
		"list missing": {func(p *policies.Policy) { p.AllowedRTMR1 = nil }, "allowed_rtmr1 is missing"},
		"value added": {func(p *policies.Policy) { p.AllowedMRTD = append(p.AllowedMRTD, register(7)) },
			"allowed_mrtd does not agree"},
		"value removed": {func(p *policies.Policy) { p.AllowedRTMR2 = p.AllowedRTMR2[:1] },
			"allowed_rtmr2 does not agree"},
		"value repeated": {func(p *policies.Policy) { p.AllowedRTMR0 = append(p.AllowedRTMR0, p.AllowedRTMR0[0]) },
			"allowed_rtmr0 does not agree"},
		"values out of order": {func(p *policies.Policy) { slices.Reverse(p.AllowedRTMR1) }, "allowed_rtmr1 does not agree"},
		"no tcb":              {func(p *policies.Policy) { p.AllowedTCBStatus = []string{} }, "allowed_tcb_status is empty"},
		"unknown tcb":         {func(p *policies.Policy) { p.AllowedTCBStatus = []string{"uptodate"} }, "never allowed"},
		"revoked tcb": {func(p *policies.Policy) { p.AllowedTCBStatus = []string{"UpToDate", "Revoked"} },
			"never allowed"},
		"tcb twice": {func(p *policies.Policy) { p.AllowedTCBStatus = []string{"UpToDate", "UpToDate"} }, "twice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := ready(t, release.LockedReadOnly)
			tc.change(p)
			err := p.Check()
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			_, err = p.Encode()
			require.ErrorContains(t, err, tc.want, "what is broken is not written either")
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	t.Parallel()
	good, err := ready(t, release.Debug).Encode()
	require.NoError(t, err)
	for name, tc := range map[string]struct{ from, to, want string }{
		"unknown field":   {`"profile":`, `"role": "kms", "profile":`, "role"},
		"duplicate key":   {`"profile":`, `"profile": "debug", "profile":`, "twice"},
		"short register":  {strings.Repeat("a0", 48), strings.Repeat("a0", 47), "94 hex digits"},
		"upper case":      {strings.Repeat("a0", 48), strings.Repeat("A0", 48), "lower case"},
		"null list":       {`"allowed_rtmr0": [`, `"allowed_rtmr0": null, "x": [`, "unknown field"},
		"case of a key":   {`"profile":`, `"Profile":`, "is unknown"},
		"escaped":         {`"profile": "debug"`, `"profile": "deb\u0075g"`, "canonical form"},
		"kms tag":         {"mero-tee-v1.1.0", "mero-kms-v1.1.0", "not a node release"},
		"v in version":    {`"kms_version": "1.2.0"`, `"kms_version": "v1.2.0"`, "not a version"},
		"one hex changed": {strings.Repeat("a1", 48), strings.Repeat("a1", 47) + "a2", "does not agree"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(good), tc.from, tc.to, 1)
			require.NotEqual(t, string(good), changed)
			_, err := policies.Decode([]byte(changed))
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
	_, err = policies.Decode(append(good, '{', '}'))
	require.ErrorContains(t, err, "after the end")
}

func FuzzDecode(f *testing.F) {
	golden, err := os.ReadFile(filepath.Join("testdata", release.PolicyAsset(release.Debug)))
	require.NoError(f, err)
	f.Add(golden)
	f.Add([]byte(`{"schema_version":"1","kms_version":"1.0.0-rc.1","profile":"debug","status":"policy_not_ready"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		p, err := policies.Decode(in)
		if err != nil {
			require.Equal(t, fault.Verification, fault.CodeOf(err))
			return
		}
		for _, m := range p.Measurements {
			require.NoError(t, p.Admits(m.Registers, tcb.Platform{Status: tdx.Status(p.AllowedTCBStatus[0])}, today))
		}
		out, err := p.Encode()
		require.NoError(t, err)
		again, err := policies.Decode(out)
		require.NoError(t, err)
		require.Equal(t, p, again)
	})
}
