package audit_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who verifies a release needs nothing that signs one: cosign brings a TUF
// client, cloud key services and their clients along.
func TestTheAuditorLinksNoCosign(t *testing.T) {
	t.Parallel()
	listed, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	require.NoError(t, err)
	require.Contains(t, string(listed), "/internal/artifact/signature\n")
	for _, path := range strings.Fields(string(listed)) {
		require.NotContains(t, path, "github.com/sigstore/cosign/")
	}
}
