package config_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
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
		"a laptop rehearses": {nil, config.Rehearsal, fault.Success},
		"production by name": {map[string]string{"MERO_ENVIRONMENT": "production"}, config.Production,
			fault.Success},
		"CI must say": {map[string]string{"GITHUB_ACTIONS": "true"}, "", fault.Usage},
		"CI says": {map[string]string{"GITHUB_ACTIONS": "true", "MERO_ENVIRONMENT": "rehearsal"},
			config.Rehearsal, fault.Success},
		"a typo is not a rehearsal":     {map[string]string{"MERO_ENVIRONMENT": "prod"}, "", fault.Usage},
		"upper case is not the same":    {map[string]string{"MERO_ENVIRONMENT": "Production"}, "", fault.Usage},
		"a profile that does not exist": {map[string]string{"MERO_KMS_PROFILE": "open"}, "", fault.Usage},
		"an empty variable is not a set": {map[string]string{"GITHUB_ACTIONS": "true", "MERO_ENVIRONMENT": ""}, "",
			fault.Usage},
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
	require.Equal(t, "1.1.0", c.Version(release.Node).String())
	require.Equal(t, "hunter2", c.RegistryToken.Reveal())
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		require.NotContains(t, fmt.Sprintf(format, c), "hunter2", format)
		require.NotContains(t, fmt.Sprintf(format, c.RegistryToken), "hunter2", format)
	}
}

// Each variable goes into its own field, and nothing else is read.
func TestEveryVariable(t *testing.T) {
	t.Parallel()
	values := map[string]string{"GITHUB_REPOSITORY": "acme/kms", "MERO_KMS_VERSION": "1.2.0", "MERO_TEE_VERSION": "1.2.0",
		"MERO_KMS_PROFILE": "debug",
		"GCP_PROJECT_ID":   "something", "GCP_ZONE": "us-central1-a", "GHCR_REGISTRY": "ghcr.io/acme",
		"PHALA_DSTACK_URL": "https://x.example",
		"ITA_API_URL":      "https://api.x.example", "GITHUB_RUN_ID": "42", "GITHUB_SERVER_URL": "https://git.example",
		"COMPATIBILITY_CATALOG_PATH":     "c.json",
		"GCP_SERVICE_ACCOUNT_KEY":        accountKey,
		"GOOGLE_APPLICATION_CREDENTIALS": "/c.json", "ACTIONS_ID_TOKEN_REQUEST_URL": "https://x.example",
		"MERO_ANNOUNCE_URL": "https://hooks.example/secret",
		"MERO_ENVIRONMENT":  "production"}
	fields := map[string]func(*config.Config) any{
		"GITHUB_REPOSITORY":              func(c *config.Config) any { return c.Repository },
		"GITHUB_REF_NAME":                func(c *config.Config) any { return c.RefName },
		"GITHUB_RUN_ID":                  func(c *config.Config) any { return strconv.FormatInt(c.RunID, 10) },
		"GITHUB_SERVER_URL":              func(c *config.Config) any { return c.ServerURL },
		"GITHUB_EVENT_NAME":              func(c *config.Config) any { return c.EventName },
		"GITHUB_EVENT_PATH":              func(c *config.Config) any { return c.EventPath },
		"GITHUB_STEP_SUMMARY":            func(c *config.Config) any { return c.StepSummary },
		"MERO_ENVIRONMENT":               func(c *config.Config) any { return c.Environment },
		"MERO_KMS_PROFILE":               func(c *config.Config) any { return c.Profile },
		"GOOGLE_APPLICATION_CREDENTIALS": func(c *config.Config) any { return c.GCPCredentials },
		"MERO_KMS_VERSION":               func(c *config.Config) any { return c.KMSVersion.String() },
		"MERO_TEE_VERSION":               func(c *config.Config) any { return c.TEEVersion.String() },
		"GCP_PROJECT_ID":                 func(c *config.Config) any { return c.GCPProject },
		"GCP_ZONE":                       func(c *config.Config) any { return c.GCPZone },
		"GCP_IMAGE_FAMILY":               func(c *config.Config) any { return c.GCPFamily },
		"GHCR_REGISTRY":                  func(c *config.Config) any { return c.Registry },
		"PHALA_DSTACK_URL":               func(c *config.Config) any { return c.DstackURL },
		"ITA_API_URL":                    func(c *config.Config) any { return c.ITAURL },
		"COMPATIBILITY_CATALOG_PATH":     func(c *config.Config) any { return c.CatalogPath },
		"GCP_SERVICE_ACCOUNT_KEY":        func(c *config.Config) any { return c.GCPKey.Reveal() },
		"GHCR_TOKEN":                     func(c *config.Config) any { return c.RegistryToken.Reveal() },
		"MERO_ANNOUNCE_URL":              func(c *config.Config) any { return c.AnnounceURL.Reveal() },
		"ITA_API_KEY":                    func(c *config.Config) any { return c.ITAKey.Reveal() },
		"COSIGN_PASSWORD":                func(c *config.Config) any { return c.CosignPassword.Reveal() },
		"GITHUB_TOKEN":                   func(c *config.Config) any { return c.GitHubToken.Reveal() },
		"PHALA_CLOUD_API_KEY":            func(c *config.Config) any { return c.DstackKey.Reveal() },
		"ACTIONS_ID_TOKEN_REQUEST_URL":   func(c *config.Config) any { return c.TokenRequestURL },
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": func(c *config.Config) any { return c.TokenRequestToken.Reveal() },
	}
	for _, v := range config.Variables() {
		name, field := v.Name, fields[v.Name]
		value := cmp.Or(values[name], "something")
		if name == "GITHUB_ACTIONS" {
			continue // TestActions
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			empty, err := config.Load(from(nil))
			require.NoError(t, err)
			c, err := config.Load(from(map[string]string{name: value}))
			require.NoError(t, err)
			require.EqualValues(t, value, field(c))
			again, err := config.Load(from(map[string]string{name: ""}))
			require.NoError(t, err)
			require.Equal(t, empty, again, "an empty variable is one that is not set, as in GitHub Actions")
		})
	}
}

func TestSecretsAreNotEncoded(t *testing.T) {
	t.Parallel()
	c, err := config.Load(from(map[string]string{"GITHUB_TOKEN": "hunter2"}))
	require.NoError(t, err)
	data, err := json.Marshal(c)
	require.NoError(t, err)
	require.NotContains(t, string(data), "hunter2")
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("started", "token", c.GitHubToken, "config", c)
	require.NotContains(t, log.String(), "hunter2")
	require.Contains(t, log.String(), "set, not shown")
	require.Equal(t, "not set", c.RegistryToken.String())
}

// In GitHub Actions only the word "true" counts; a laptop may say anything else.
func TestActions(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"": false, "true": true, "false": false, "1": false} {
		c, err := config.Load(from(map[string]string{"GITHUB_ACTIONS": value, "MERO_ENVIRONMENT": config.Rehearsal}))
		require.NoError(t, err)
		require.Equal(t, want, c.Actions, value)
	}
}
