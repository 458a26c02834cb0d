package evidence_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/rehearsal/gce/storage"
)

// What Google signed is verified as of each boot, and of the MRTD of each.
func TestEndorsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, second, again := w.three(t)
	seen := []*evidence.Observation{first, second, again}
	google, err := storage.NewAuthority()
	require.NoError(t, err)
	e := w.evidence(t, seen...)
	e.Endorsement = &evidence.Endorsement{Asked: time.Now()}
	e.Endorsement.Message, err = google.Endorse(storage.Statement{MRTDs: []tdx.Register{first.Verdict.Registers.MRTD}})
	require.NoError(t, err)
	e, err = evidence.DecodeEvidence(encoded(t, e))
	require.NoError(t, err)
	signed, err := e.Endorsed(google.RootSHA256(), seen)
	require.NoError(t, err)
	bases, err := e.Verified(t.Context(), w.root, google.RootSHA256())
	require.NoError(t, err)
	require.Equal(t, e.Bases(signed), bases)
	require.Equal(t, [5]string{"endorsed by Google on 2026-01-15, observed (3 boots)", "observed (3 boots)",
		"predicted from the image, observed (3 boots)", "predicted from the image, observed (3 boots)",
		"a formula, observed (3 boots)"}, bases)

	long := *again.Verdict
	long.At = long.At.AddDate(-2, 0, 0)
	before := *again
	before.Verdict = &long
	_, err = e.Endorsed(google.RootSHA256(), []*evidence.Observation{first, &before})
	require.ErrorContains(t, err, "boot 2: the endorsement's root was not valid yet")
	_, err = e.Verified(t.Context(), w.root, w.root)
	require.ErrorContains(t, err, "boot 1: the endorsement is under another root")
	e.Boots[0].Quote[200] ^= 1
	_, err = e.Verified(t.Context(), w.root, google.RootSHA256())
	require.ErrorContains(t, err, "quote")
}
