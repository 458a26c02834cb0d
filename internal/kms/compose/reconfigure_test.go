package compose_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/compose"
	"github.com/calimero-network/mero-tee/internal/release"
)

func appOf(t *testing.T, composeFile string) []byte {
	t.Helper()
	app, err := compose.AppCompose(release.Debug, []byte(composeFile))
	require.NoError(t, err)
	return app
}

func TestReconfigure(t *testing.T) {
	t.Parallel()
	before := appOf(t, `{"services":{"mero-kms":{"environment":{"A":"1","B":"<&>"},"image":"x@sha256:00"}}}`)
	after, err := compose.Reconfigure(before, map[string]string{"A": "2"})
	require.NoError(t, err)
	require.Equal(t, appOf(t, `{"services":{"mero-kms":{"environment":{"A":"2","B":"<&>"},"image":"x@sha256:00"}}}`),
		after)
	require.NotEqual(t, compose.Hash(before), compose.Hash(after))
	same, err := compose.Reconfigure(before, nil)
	require.NoError(t, err)
	require.Equal(t, before, same)
}

func TestReconfigureRefuses(t *testing.T) {
	t.Parallel()
	one := `{"services":{"mero-kms":{"environment":{"A":"1"}}}}`
	for name, tc := range map[string]struct {
		app   []byte
		value map[string]string
		says  string
		code  fault.Code
	}{
		"a variable that is not set":  {appOf(t, one), map[string]string{"B": "2"}, "does not set B", fault.Usage},
		"a value docker would expand": {appOf(t, one), map[string]string{"A": "${HOME}"}, "dollar", fault.Usage},
		"two services": {appOf(t, `{"services":{"a":{"environment":{}},"b":{}}}`), nil, "compose file",
			fault.Verification},
		"no environment":          {appOf(t, `{"services":{"a":{"image":"x"}}}`), nil, "compose file", fault.Verification},
		"not a compose file":      {appOf(t, `[]`), nil, "compose file", fault.Verification},
		"not an app-compose file": {[]byte(`{}`), nil, "app-compose", fault.Verification},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := compose.Reconfigure(tc.app, tc.value)
			require.ErrorContains(t, err, tc.says)
			require.Equal(t, tc.code, fault.CodeOf(err))
		})
	}
}
