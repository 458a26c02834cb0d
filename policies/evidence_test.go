package policies_test

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func TestEvidenceOf(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../internal/attestation/measurement/testdata/node.json")
	require.NoError(t, err)
	ev, err := policies.EvidenceOf(data)
	require.NoError(t, err)
	require.Equal(t, release.Node, ev.Tag.Family)
	require.Len(t, ev.Registers, 3)
	require.Regexp(t, `^sha256:[0-9a-f]{64}$`, ev.Digest)

	data, err = os.ReadFile("../internal/attestation/measurement/testdata/kms.json")
	require.NoError(t, err)
	_, err = policies.EvidenceOf(data)
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "another family")
	_, err = policies.EvidenceOf([]byte("{}"))
	require.Error(t, err)
}

// A tuple that was seen later rests on a file of its own. One that cites what a release published says what is
// published: "first_seen" takes nothing from the comparison.
func TestARefreshedTupleIsHeldToThePublishedFileThatItCites(t *testing.T) {
	t.Parallel()
	own, other := evidence(t, "1.2.0", 2), evidence(t, "1.3.0", 3)
	published := policies.Published{own.Tag: own, other.Tag: other}
	seen := moved(own, 0xc0)
	later := policies.Published{own.Tag: own, other.Tag: {Tag: other.Tag, Digest: seen.Digest, Registers: seen.Registers}}
	evil := moved(own, 0x66).Registers[release.Debug]
	for name, tc := range map[string]struct {
		published policies.Published
		tuple     policies.Measurement
		want      string
	}{
		"a file of its own": {published, policies.Measurement{Evidence: seen.Digest, Registers: evil}, ""},
		"the release's own": {published, policies.Measurement{Evidence: own.Digest, Registers: evil},
			"mrtd, rtmr0"},
		"another release's":           {published, policies.Measurement{Evidence: other.Digest, Registers: evil}, "differs"},
		"another release's, of today": {later, policies.Measurement{Evidence: seen.Digest, Registers: evil}, "mrtd, rtmr0"},
		"what another release publishes": {later, policies.Measurement{Evidence: seen.Digest,
			Registers: seen.Registers[release.Debug]}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := tc.tuple
			m.NodeRelease, m.FirstSeen = own.Tag, day
			err := tc.published.Judge(release.Debug, m, today)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.Equal(t, fault.Verification, fault.CodeOf(err))
		})
	}
}

// The same without asking anybody: one file says one thing of a profile.
func TestARefreshedTupleWithTheEvidenceOfTheReleaseItselfIsRefused(t *testing.T) {
	t.Parallel()
	own := evidence(t, "1.2.0", 2)
	w, err := policies.Refresh(working(t, release.Debug, own), own.Tag, moved(own, 0xc0), day)
	require.NoError(t, err)
	require.NoError(t, w.Check())
	w.Measurements[1].Evidence = own.Digest
	require.ErrorContains(t, w.Check(), "mrtd, rtmr0 of mero-tee-v1.2.0 differs from what was promoted")
}
