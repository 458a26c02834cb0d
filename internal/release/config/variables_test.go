package config_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/internal/release/config"
)

const accountKey = `{"type":"service_account","client_email":"a@b.iam.gserviceaccount.com","private_key":"-----BEGIN ` +
	`PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----\n"}`

// "Required GitHub Variables" and "Required Secrets", in the spec's order.
func TestTheSpecsVariables(t *testing.T) {
	t.Parallel()
	byKind := map[config.Kind][]string{}
	for _, v := range config.Variables() {
		byKind[v.Kind] = append(byKind[v.Kind], v.Name)
		require.NotEmpty(t, v.Purpose, v.Name)
		require.NotEmpty(t, v.Valid, v.Name)
		require.Equal(t, v.Kind == config.KindSecret ||
			slices.Contains([]string{"GITHUB_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"}, v.Name), v.Secret, v.Name)
	}
	require.Equal(t, []string{"MERO_KMS_VERSION", "MERO_KMS_PROFILE", "MERO_TEE_VERSION", "GCP_PROJECT_ID", "GCP_ZONE",
		"GCP_IMAGE_FAMILY",
		"GHCR_REGISTRY", "PHALA_DSTACK_URL", "ITA_API_URL", "COMPATIBILITY_CATALOG_PATH"}, byKind[config.KindVariable])
	require.Equal(t, []string{"GCP_SERVICE_ACCOUNT_KEY", "GHCR_TOKEN", "ITA_API_KEY", "COSIGN_PASSWORD"},
		byKind[config.KindSecret][:4])
}

func TestValidValues(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"MERO_KMS_VERSION": {"1.2.0", "1.2.0-rc.1"},
		"MERO_KMS_PROFILE": {"debug", "debug-read-only", "locked-read-only"},
		"GCP_PROJECT_ID":   {"mero-tee-prod"},
		"GCP_ZONE": {"us-central1-a", "northamerica-northeast1-c", "europe-west4-b",
			"us-central1-ai1a"},
		"GCP_IMAGE_FAMILY": {"mero-tee", "a"},
		"GHCR_REGISTRY":    {"ghcr.io/calimero-network", "localhost:5000/a/b_c"},
		"PHALA_DSTACK_URL": {"https://cloud-api.phala.com/api/v1", "https://x.example/"},
		"ITA_API_URL": {"https://api.trustauthority.intel.com",
			"https://api.eu.trustauthority.intel.com/"},
		"COMPATIBILITY_CATALOG_PATH":     {"catalog/compatibility-catalog.json", "c.json"},
		"GCP_SERVICE_ACCOUNT_KEY":        {accountKey},
		"GHCR_TOKEN":                     {"ghp_0123"},
		"COSIGN_PASSWORD":                {"any thing\n"},
		"GOOGLE_APPLICATION_CREDENTIALS": {"/tmp/c.json"},
		"ACTIONS_ID_TOKEN_REQUEST_URL":   {"https://run.actions.example/a?api-version=2.0"},
		"GITHUB_REPOSITORY":              {"calimero-network/mero-tee"},
	} {
		for _, value := range values {
			_, err := config.Load(from(map[string]string{name: value, "MERO_ENVIRONMENT": config.Production}))
			require.NoError(t, err, "%s=%s", name, value)
		}
	}
}

// Every bad value is refused before anything is done; a secret's is not repeated.
func TestBadValues(t *testing.T) {
	t.Parallel()
	for name, values := range map[string][]string{
		"MERO_KMS_VERSION": {"v1.2.0", "1.2", "latest"},
		"MERO_KMS_PROFILE": {"open", "Debug"},
		"MERO_TEE_VERSION": {"1.2.0-rc1", " 1.2.0"},
		"GCP_PROJECT_ID":   {"123456789012", "My Project", "a"},
		"GCP_ZONE":         {"us-central1", "US-central1-a", "us-central1-a/../x"},
		"GCP_IMAGE_FAMILY": {"Mero", "-a", "a-"},
		"GHCR_REGISTRY":    {"https://ghcr.io/a", "ghcr.io", "ghcr.io/A", "ghcr.io/a:1", "ghcr.io/a/"},
		"PHALA_DSTACK_URL": {"http://cloud-api.phala.com", "cloud-api.phala.com",
			"https://u:hunter2@x.example/", "https://", "https://x.example/#a"},
		"ITA_API_URL": {"http://api.trustauthority.intel.com", "https://portal.trustauthority.intel.com",
			"https://api.trustauthority.intel.com/appraisal"},
		"COMPATIBILITY_CATALOG_PATH": {"../c.json", "/etc/c.json", "a/../c.json", "c.yaml", `a\c.json`},
		"GCP_SERVICE_ACCOUNT_KEY": {"hunter2", `{"type":"authorized_user","refresh_token":"hunter2"}`,
			`{"type":"service_account","private_key":"hunter2"}`,
			`{"type":"service_account","client_email":"a","private_key":"hunter2"}`},
		"GHCR_TOKEN":                     {"hunter2\n", " hunter2", "hunter2 hunter2", "„hunter2“"},
		"ITA_API_KEY":                    {"hunter2\r\n"},
		"PHALA_CLOUD_API_KEY":            {"hunter2\t"},
		"GITHUB_TOKEN":                   {"hunter2\x00"},
		"GOOGLE_APPLICATION_CREDENTIALS": {"c.json"},
		"ACTIONS_ID_TOKEN_REQUEST_URL":   {"http://run.actions.example"},
		"ACTIONS_ID_TOKEN_REQUEST_TOKEN": {"hunter2 "},
		"GITHUB_RUN_ID":                  {"0", "-1", "x", "1234567890123456789"},
		"GITHUB_REPOSITORY":              {"mero-tee", "a/b/c", "a/.."},
		"MERO_ENVIRONMENT":               {"prod"},
	} {
		for _, value := range values {
			vars := map[string]string{"MERO_ENVIRONMENT": config.Production}
			vars[name] = value
			_, err := config.Load(from(vars))
			var f *fault.Error
			require.ErrorAs(t, err, &f, "%s=%q", name, value)
			require.Equal(t, fault.Usage, f.Code)
			require.Contains(t, f.Message, name)
			require.NotEmpty(t, f.Expected, name)
			require.NotContains(t, fmt.Sprintf("%+v", *f), "hunter2", name)
		}
	}
}

func TestExpectedAndGot(t *testing.T) {
	t.Parallel()
	_, err := config.Load(from(map[string]string{"GCP_ZONE": "us-central1"}))
	require.Equal(t, &fault.Error{Code: fault.Usage, Message: "GCP_ZONE is not a zone",
		Expected: "a zone with TDX, for example us-central1-a",
		Got:      `"us-central1"`, Hint: "`mage doctor` judges every variable and secret"}, err)
	_, err = config.Load(from(map[string]string{"GHCR_TOKEN": "a b"}))
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Empty(t, f.Got)
}

// The catalog is a file of the repository, in a rehearsal too: what is proposed there needs a place in it.
func TestTheCatalogIsInTheRepository(t *testing.T) {
	t.Parallel()
	for _, environment := range []string{"", config.Rehearsal, config.Production} {
		for _, path := range []string{"/tmp/catalog.json", "../catalog.json", "a/../../catalog.json", "./catalog.json",
			"catalog", "catalog/", `a\catalog.json`, ".json/", "a//b.json"} {
			_, err := config.Load(from(map[string]string{"COMPATIBILITY_CATALOG_PATH": path, "MERO_ENVIRONMENT": environment}))
			require.Equal(t, fault.Usage, fault.CodeOf(err), "%s: %s", environment, path)
		}
		_, err := config.Load(from(map[string]string{"COMPATIBILITY_CATALOG_PATH": "config/pairs.json",
			"MERO_ENVIRONMENT": environment}))
		require.NoError(t, err)
	}
}

func TestInspect(t *testing.T) {
	t.Parallel()
	c, entries := config.Inspect(from(map[string]string{"GITHUB_ACTIONS": "true", "GCP_ZONE": "x",
		"GHCR_TOKEN": "hunter2"}))
	require.True(t, c.Actions)
	require.Len(t, entries, len(config.Variables()))
	for _, e := range entries {
		require.Equal(t, slices.Contains([]string{"GITHUB_ACTIONS", "GCP_ZONE", "GHCR_TOKEN"}, e.Name), e.Set, e.Name)
		require.Equal(t, slices.Contains([]string{"MERO_ENVIRONMENT", "GCP_ZONE"}, e.Name), e.Err != nil, e.Name)
	}
}

func TestSteps(t *testing.T) {
	t.Parallel()
	for _, v := range config.Variables() {
		if v.Name != "MERO_TEE_VERSION" {
			continue
		}
		require.Equal(t, []string{"kms:version", "kms:policy", "kms:e2e"}, v.NeededBy(release.KMS))
		require.Equal(t, []string{"node:version"}, v.Steps(release.Node))
	}
}
