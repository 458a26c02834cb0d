package sign_test

import (
	"encoding/json"
	"os"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/artifact/sign"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

func TestSignerNeedsACompleteConfig(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile(instance.SigningConfigRekorV2Path)
	require.NoError(t, err)
	for name, field := range map[string]string{"no authority": "caUrls", "no log": "rekorTlogUrls",
		"no time for rekor v2": "tsaUrls"} {
		sc, err := root.NewSigningConfigFromJSON(without(t, raw, field))
		require.NoError(t, err, name)
		_, err = sign.NewSigner(t.Context(), sign.Config{SigningConfig: sc, Token: tokenOf(instance, identity)})
		require.Equal(t, fault.Usage, fault.CodeOf(err), name)
	}
	_, err = sign.NewSigner(t.Context(), sign.Config{Token: tokenOf(instance, identity)})
	require.Equal(t, fault.Usage, fault.CodeOf(err))
}

// without returns a JSON object without one of its fields.
func without(t *testing.T, raw []byte, field string) []byte {
	t.Helper()
	var object map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(raw, &object))
	require.Contains(t, object, field)
	delete(object, field)
	out, err := json.Marshal(object)
	require.NoError(t, err)
	return out
}
