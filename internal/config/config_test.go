package config_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/config"
	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

func from(m map[string]string) config.Lookup {
	return func(k string) (string, bool) { v, ok := m[k]; return v, ok }
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  map[string]string
		want string
		code fault.Code
	}{
		"a laptop rehearses":             {nil, config.Rehearsal, fault.Success},
		"production by name":             {map[string]string{"MERO_ENVIRONMENT": "production"}, config.Production, fault.Success},
		"CI must say":                    {map[string]string{"GITHUB_ACTIONS": "true"}, "", fault.Usage},
		"CI says":                        {map[string]string{"GITHUB_ACTIONS": "true", "MERO_ENVIRONMENT": "rehearsal"}, config.Rehearsal, fault.Success},
		"a typo is not a rehearsal":      {map[string]string{"MERO_ENVIRONMENT": "prod"}, "", fault.Usage},
		"upper case is not the same":     {map[string]string{"MERO_ENVIRONMENT": "Production"}, "", fault.Usage},
		"a profile that does not exist":  {map[string]string{"MERO_KMS_PROFILE": "open"}, "", fault.Usage},
		"an empty variable is not a set": {map[string]string{"GITHUB_ACTIONS": "true", "MERO_ENVIRONMENT": ""}, "", fault.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, err := config.Load(from(tc.env))
			require.Equal(t, tc.code, fault.CodeOf(err))
			if err == nil {
				require.Equal(t, tc.want, c.Environment)
			}
		})
	}
}

func TestDefaultsAndSecrets(t *testing.T) {
	t.Parallel()
	c, err := config.Load(from(map[string]string{"GHCR_TOKEN": "hunter2", "MERO_TEE_VERSION": "1.1.0"}))
	require.NoError(t, err)
	require.Equal(t, release.LockedReadOnly, c.Profile)
	require.Equal(t, "1.1.0", c.Version(release.Node))
	require.Equal(t, "hunter2", c.RegistryToken.Reveal())
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, c), "hunter2", format)
		require.NotContains(t, fmt.Sprintf(format, c.RegistryToken), "hunter2", format)
	}
}
