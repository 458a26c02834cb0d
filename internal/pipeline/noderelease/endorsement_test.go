package noderelease_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/pipeline/releasetest"
	"github.com/calimero-network/mero-tee/internal/rehearsal"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
	"github.com/calimero-network/mero-tee/internal/release"
)

// What Google says of the firmware is kept with the boots, and that it says
// nothing; what it says of other firmware, or somebody else in its place, is not
// published; and a stable release is not measured while it cannot be asked.
func TestTheFirmwaresEndorsement(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	stranger, err := storage.NewAuthority()
	require.NoError(t, err)
	forged, err := stranger.Endorse(storage.Statement{MRTDs: []tdx.Register{{1}}})
	require.NoError(t, err)
	for name, tc := range map[string]struct {
		faults storage.Faults
		code   fault.Code
		want   string // of the error
		basis  string // of MRTD
	}{
		"endorsed": {storage.Faults{}, fault.Success, "", "endorsed by Google on 2026-01-15, observed (3 boots)"},
		"not endorsed": {storage.Faults{Change: func([]byte) []byte { return nil }}, fault.Success, "",
			"not endorsed: Google had signed nothing for it on " + time.Now().UTC().Format(time.DateOnly) +
				", observed (3 boots)"},
		"under another root": {storage.Faults{Change: func([]byte) []byte { return forged }}, fault.Verification,
			"the endorsement is under another root", ""},
		"too large": {storage.Faults{Change: func(data []byte) []byte { return append(data, make([]byte, 1<<20)...) }},
			fault.Verification, "the endorsement is too large", ""},
		"not to be asked": {storage.Faults{Denied: true}, fault.General, "Google cannot be asked", ""},
		"another server":  {storage.Faults{Elsewhere: true}, fault.General, "Google cannot be asked", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dist := releasetest.From(t, s.After("node:build"))
			p := opened(t, s.Root, dist, stable)
			p.World.(*rehearsal.World).Endorsements(func(f *storage.Faults) { *f = tc.faults })
			if tc.code != fault.Success {
				_ = unmeasured(t, p, dist, tc.code, tc.want)
				return
			}
			require.NoError(t, p.Run.PerformTarget(t.Context(), "node:measure", string(release.Debug)), "%s", p.Log)
			data := releasetest.Contents(t, releasetest.Staged(dist, stable))[release.EvidenceAsset(release.Debug)]
			e, err := evidence.DecodeEvidence([]byte(data))
			require.NoError(t, err)
			bases, err := e.Verified(t.Context(), p.Env.TDXRoot, p.Env.GoogleRoot)
			require.NoError(t, err)
			require.Equal(t, tc.basis, bases[0])
			require.Contains(t, p.Log.String(), "endorsed")
		})
	}
}

// A candidate is measured without an answer, and its evidence does not say that there is none.
func TestACandidateWhoseFirmwareNobodyCouldAskAbout(t *testing.T) {
	t.Parallel()
	s := fixture.Stages(t)
	tag := stable
	tag.Version.Candidate = 1
	dist := releasetest.From(t, s.After(""))
	p := opened(t, s.Root, dist, tag)
	p.World.(*rehearsal.World).Endorsements(func(f *storage.Faults) { f.Denied = true })
	require.NoError(t, p.Run.PerformTarget(t.Context(), "node:version", ""), "%s", p.Log)
	require.NoError(t, p.Run.PerformTarget(t.Context(), "node:build", string(release.Debug)), "%s", p.Log)
	require.NoError(t, p.Run.PerformTarget(t.Context(), "node:measure", string(release.Debug)), "%s", p.Log)
	require.Contains(t, p.Log.String(), "endorsement of the firmware skipped: Google cannot be asked")
	data := releasetest.Contents(t, releasetest.Staged(dist, tag))[release.EvidenceAsset(release.Debug)]
	e, err := evidence.DecodeEvidence([]byte(data))
	require.NoError(t, err)
	require.Nil(t, e.Endorsement)
}
