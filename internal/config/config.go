// Package config is the configuration of the spec ("CI/CD Setup"): ten
// variables, four secrets and the few things that the runner tells.
//
// Its promise: it is the only reader of the process environment; every value is
// typed and checked here, once, and a secret never appears in a message.
package config

import (
	"fmt"

	"github.com/calimero-network/mero-tee/internal/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The two environments of law 1.
const (
	Rehearsal  = "rehearsal"
	Production = "production"
)

// DefaultRepository is the repository whose workflows sign releases.
const DefaultRepository = "calimero-network/mero-tee"

// Secret is a value that prints as a placeholder.
type Secret string

// String hides the value.
func (s Secret) String() string {
	if s == "" {
		return "not set"
	}
	return "set, not shown"
}

// GoString hides the value from %#v too.
func (s Secret) GoString() string { return s.String() }

// MarshalText hides the value from every encoding, such as JSON.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Reveal returns the value, for the client that needs it.
func (s Secret) Reveal() string { return string(s) }

// Config is everything that a release is told from outside.
type Config struct {
	Environment string // MERO_ENVIRONMENT
	Actions     bool   // GITHUB_ACTIONS: the process runs in a workflow
	Repository  string // GITHUB_REPOSITORY, owner/name
	RefName     string // GITHUB_REF_NAME, the tag in a release workflow
	StepSummary string // GITHUB_STEP_SUMMARY, the file behind the run's summary page

	KMSVersion  string          // MERO_KMS_VERSION
	Profile     release.Profile // MERO_KMS_PROFILE: what E2E treats as the production profile
	TEEVersion  string          // MERO_TEE_VERSION
	GCPProject  string          // GCP_PROJECT_ID
	GCPZone     string          // GCP_ZONE
	GCPFamily   string          // GCP_IMAGE_FAMILY
	Registry    string          // GHCR_REGISTRY
	DstackURL   string          // PHALA_DSTACK_URL
	ITAURL      string          // ITA_API_URL
	CatalogPath string          // COMPATIBILITY_CATALOG_PATH

	GCPKey         Secret // GCP_SERVICE_ACCOUNT_KEY
	RegistryToken  Secret // GHCR_TOKEN
	ITAKey         Secret // ITA_API_KEY
	CosignPassword Secret // COSIGN_PASSWORD: read and reported; keyless signing has no use for it

	GCPCredentials string // GOOGLE_APPLICATION_CREDENTIALS: a file, as a workload identity has it

	GitHubToken       Secret // GITHUB_TOKEN
	DstackKey         Secret // PHALA_CLOUD_API_KEY
	TokenRequestURL   string // ACTIONS_ID_TOKEN_REQUEST_URL
	TokenRequestToken Secret // ACTIONS_ID_TOKEN_REQUEST_TOKEN
}

// Lookup reads one variable, as os.LookupEnv does.
type Lookup func(name string) (string, bool)

// Load reads and checks the configuration.
func Load(lookup Lookup) (*Config, error) {
	get := func(name, fallback string) string {
		if v, ok := lookup(name); ok && v != "" {
			return v
		}
		return fallback
	}
	secret := func(name string) Secret { return Secret(get(name, "")) }
	c := &Config{
		Actions:    get("GITHUB_ACTIONS", "") == "true",
		Repository: get("GITHUB_REPOSITORY", DefaultRepository), RefName: get("GITHUB_REF_NAME", ""),
		StepSummary: get("GITHUB_STEP_SUMMARY", ""),
		KMSVersion:  get("MERO_KMS_VERSION", ""), TEEVersion: get("MERO_TEE_VERSION", ""),
		GCPProject: get("GCP_PROJECT_ID", ""), GCPZone: get("GCP_ZONE", ""), GCPFamily: get("GCP_IMAGE_FAMILY", ""),
		Registry: get("GHCR_REGISTRY", "ghcr.io/calimero-network"), DstackURL: get("PHALA_DSTACK_URL", ""),
		ITAURL: get("ITA_API_URL", ""), CatalogPath: get("COMPATIBILITY_CATALOG_PATH", ""),
		GCPCredentials: get("GOOGLE_APPLICATION_CREDENTIALS", ""),
		GCPKey:         secret("GCP_SERVICE_ACCOUNT_KEY"), RegistryToken: secret("GHCR_TOKEN"), ITAKey: secret("ITA_API_KEY"),
		CosignPassword: secret("COSIGN_PASSWORD"), GitHubToken: secret("GITHUB_TOKEN"), DstackKey: secret("PHALA_CLOUD_API_KEY"),
		TokenRequestURL: get("ACTIONS_ID_TOKEN_REQUEST_URL", ""), TokenRequestToken: secret("ACTIONS_ID_TOKEN_REQUEST_TOKEN"),
	}
	var err error
	if c.Environment, err = environment(get("MERO_ENVIRONMENT", ""), c.Actions); err != nil {
		return nil, err
	}
	if c.Profile, err = release.ParseProfile(get("MERO_KMS_PROFILE", string(release.LockedReadOnly))); err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "MERO_KMS_PROFILE", Err: err}
	}
	return c, nil
}

// environment applies law 1: CI never rehearses by accident, a laptop never releases by accident.
func environment(value string, actions bool) (string, error) {
	switch {
	case value == Rehearsal || value == Production:
		return value, nil
	case value == "" && !actions:
		return Rehearsal, nil
	case value == "":
		return "", &fault.Error{Code: fault.Usage, Message: "MERO_ENVIRONMENT is not set in GitHub Actions",
			Expected: "production or rehearsal", Got: "nothing",
			Hint: "set env MERO_ENVIRONMENT in the workflow, so that CI never rehearses by accident"}
	}
	return "", &fault.Error{Code: fault.Usage, Message: "MERO_ENVIRONMENT",
		Expected: "production or rehearsal", Got: fmt.Sprintf("%q", value)}
}

// Version is the repository variable of the family's version.
func (c *Config) Version(f release.Family) string {
	if f == release.KMS {
		return c.KMSVersion
	}
	return c.TEEVersion
}
