package policies_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func workingSet(t *testing.T, promoted ...policies.Evidence) map[release.Profile]*policies.Working {
	t.Helper()
	out := map[release.Profile]*policies.Working{}
	for _, p := range release.Profiles() {
		out[p] = working(t, p, promoted...)
	}
	return out
}

func encoded(t *testing.T, change func(*measurement.Published)) []byte {
	t.Helper()
	p := published(t, "node.json")
	change(p)
	data, err := p.Encode()
	require.NoError(t, err)
	return data
}

func asReleased(*measurement.Published) {}

// "Generate per-profile attestation policy JSON from MRTD inputs": these tuples, and no others.
func TestFromMeasurements(t *testing.T) {
	t.Parallel()
	data := encoded(t, asReleased)
	set, err := policies.FromMeasurements(workingSet(t, evidence(t, "1.1.0", 1)), version(t, "1.2.0"), data, data)
	require.NoError(t, err)
	require.Len(t, set, 3)
	for profile, p := range set {
		require.Equal(t, profile, p.Profile)
		require.Equal(t, "1.2.0", p.KMSVersion.String())
		require.False(t, p.NotReady())
		require.Len(t, p.Measurements, 1, "what was promoted is not among the inputs")
		require.Equal(t, "mero-tee-v1.2.0", p.Measurements[0].NodeRelease.String())
		require.Equal(t, digest.Of(data).String(), p.Measurements[0].Evidence, "it says what it rests on")
		_, err := p.Encode()
		require.NoError(t, err)
	}
}

func TestFromMeasurementsRefuses(t *testing.T) {
	t.Parallel()
	good := encoded(t, asReleased)
	ev, err := policies.EvidenceOf(good)
	require.NoError(t, err)
	kms, err := os.ReadFile("../internal/attestation/measurement/testdata/kms.json")
	require.NoError(t, err)
	revoked := workingSet(t)
	for p, w := range revoked {
		w.Revoked = []policies.Revocation{{NodeRelease: ev.Tag, Registers: ev.Registers[p], Reason: "a leak"}}
	}
	other := ev
	other.Digest = "sha256:" + "00000000000000000000000000000000000000000000000000000000000000ff"
	incomplete := workingSet(t)
	delete(incomplete, release.Debug)
	for name, tc := range map[string]struct {
		working map[release.Profile]*policies.Working
		files   [][]byte
		code    fault.Code
		says    string
	}{
		"no file":      {workingSet(t), nil, fault.Usage, "no measurements"},
		"another file": {workingSet(t), [][]byte{[]byte("{}")}, fault.Verification, ""},
		"a key service's": {workingSet(t), [][]byte{kms}, fault.Verification,
			"another family"},
		"one boot": {workingSet(t), [][]byte{good, encoded(t, func(p *measurement.Published) {
			m := p.Profiles[release.Debug]
			m.Evidence.Boots = 1
			p.Profiles[release.Debug] = m
		})}, fault.Verification, "is not stable"},
		"revoked": {revoked, [][]byte{good}, fault.Verification, "is revoked: a leak"},
		"not what was promoted of it": {workingSet(t, other), [][]byte{good}, fault.Verification,
			"differs from what was promoted"},
		"two files of one release": {workingSet(t), [][]byte{good, encoded(t, func(p *measurement.Published) {
			p.Commit = "00000000000000000000000000000000000000ff"
		})}, fault.Verification, "differs from what was promoted"},
		"a working policy is missing": {incomplete, [][]byte{good}, fault.Verification, "working policy is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := policies.FromMeasurements(tc.working, version(t, "1.2.0"), tc.files...)
			require.Equal(t, tc.code, fault.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
		})
	}
}
