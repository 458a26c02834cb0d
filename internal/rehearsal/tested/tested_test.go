package tested_test

import (
	"os"
	"path"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/catalog/evidence"
	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tested"
	"github.com/calimero-network/mero-tee/internal/release"
)

func TestTheRecordVouchesForTheseBytesAlone(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../../attestation/measurement/testdata/node.json")
	require.NoError(t, err)
	node, err := measurement.Decode(data)
	require.NoError(t, err)
	e, err := tested.Passed(tested.Candidate(node.Tag), data, time.Unix(0, 0))
	require.NoError(t, err)
	encoded, err := e.Encode()
	require.NoError(t, err)
	again, err := evidence.Decode(path.Base(e.Path()), encoded)
	require.NoError(t, err)
	require.Contains(t, again.Note, "rehearsal")
	for _, p := range release.Profiles() {
		claim := evidence.Claim{Node: node.Tag, Measurements: digest.Of(data), Profile: p,
			Registers: node.Profiles[p].Registers()}
		require.NoError(t, claim.Judge([]*evidence.E2E{again}))
		claim.Measurements = digest.Of([]byte("production's"))
		require.Error(t, claim.Judge([]*evidence.E2E{again}))
	}
	_, err = tested.Passed(tested.Candidate(node.Tag), []byte("{}"), time.Unix(0, 0))
	require.Error(t, err)
}
