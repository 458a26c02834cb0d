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
