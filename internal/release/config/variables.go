package config

import (
	"slices"
	"strconv"

	"github.com/calimero-network/mero-tee/internal/release"
)

const environmentName = "MERO_ENVIRONMENT"

// Variables lists everything that is read: the spec's ten variables and four
// secrets in the spec's order, and then what is ours.
func Variables() []Variable {
	return slices.Concat(versions(), cloud(), services(), secrets(), ours(), runner())
}

// vms are the steps that boot nodes as VMs.
func vms() []string { return []string{"node:build", "node:measure", "node:e2e", "kms:e2e"} }

// appraised are the steps in which Intel Trust Authority is asked about quotes.
func appraised() []string { return []string{"node:measure", "kms:e2e", "node:e2e"} }

func versions() []Variable {
	return []Variable{
		{Name: "MERO_KMS_VERSION", Kind: KindVariable, Purpose: "the key service's current version; a tag must agree with it",
			Valid: aVersion, Needs: []string{"kms:version", "node:version", "node:e2e"}, validate: version,
			set: func(c *Config, v string) { c.KMSVersion, _ = release.ParseVersion(v) },
			get: func(c *Config) string { return text(c.KMSVersion) }},
		{Name: "MERO_KMS_PROFILE", Kind: KindVariable, Purpose: "the profile that E2E treats as the production one",
			Valid: aProfile, Default: string(release.LockedReadOnly), Uses: []string{"kms:build", "kms:e2e", "node:e2e"},
			validate: profile,
			set:      func(c *Config, v string) { c.Profile = release.Profile(v) },
			get:      func(c *Config) string { return string(c.Profile) }},
		{Name: "MERO_TEE_VERSION", Kind: KindVariable, Purpose: "the node images' current version; a tag must agree with it",
			Valid: aVersion, Needs: []string{"node:version", "kms:version", "kms:policy", "kms:e2e"}, validate: version,
			set: func(c *Config, v string) { c.TEEVersion, _ = release.ParseVersion(v) },
			get: func(c *Config) string { return text(c.TEEVersion) }},
	}
}

func cloud() []Variable {
	return []Variable{
		{Name: "GCP_PROJECT_ID", Kind: KindVariable, Purpose: "the Google Cloud project of images and TDX VMs",
			Valid: "a project's id (mero-tee-prod), not its title or number", Needs: vms(),
			validate: form(projectForm, "not a project id"),
			set:      func(c *Config, v string) { c.GCPProject = v },
			get:      func(c *Config) string { return c.GCPProject }},
		{Name: "GCP_ZONE", Kind: KindVariable, Purpose: "the zone of TDX VMs",
			Valid: "a zone with TDX, for example us-central1-a", Needs: vms(), validate: form(zoneForm, "not a zone"),
			set: func(c *Config, v string) { c.GCPZone = v }},
		{Name: "GCP_IMAGE_FAMILY", Kind: KindVariable, Purpose: "the image family that node images are put into",
			Valid:    "a family name: a letter, then letters, digits and hyphens in lower case, at most 63",
			Uses:     []string{"node:build"},
			validate: form(familyForm, "not a family name"), set: func(c *Config, v string) { c.GCPFamily = v },
			get: func(c *Config) string { return c.GCPFamily }},
	}
}

func services() []Variable {
	return []Variable{
		{Name: "GHCR_REGISTRY", Kind: KindVariable, Purpose: "where the key service's images go",
			Valid: "HOST/OWNER in lower case, without https:// and without a tag", Default: "ghcr.io/calimero-network",
			Uses: []string{"kms:build"}, validate: form(registryForm, "not a registry path"),
			set: func(c *Config, v string) { c.Registry = v },
			get: func(c *Config) string { return c.Registry }},
		{Name: "PHALA_DSTACK_URL", Kind: KindVariable, Purpose: "the dstack provider's API, where E2E runs the key service",
			Valid: anAddress, Default: DefaultDstackURL, Uses: []string{"kms:e2e", "node:e2e"}, validate: address,
			set: func(c *Config, v string) { c.DstackURL = v }},
		{Name: "ITA_API_URL", Kind: KindVariable,
			Purpose: "Intel Trust Authority, which appraises quotes beside our own verification",
			Valid:   "https://api.… without a path", Default: "https://api.trustauthority.intel.com", Uses: appraised(),
			validate: hostAlone,
			set:      func(c *Config, v string) { c.ITAURL = v }},
		{Name: "COMPATIBILITY_CATALOG_PATH", Kind: KindVariable, Purpose: "the compatibility catalog",
			Valid:   "a path of a JSON file inside the repository, relative to its root",
			Default: "catalog/compatibility-catalog.json", // catalog.Path, which lies above this package
			Uses: []string{"kms:version", "kms:catalog", "kms:e2e", "kms:propose", "kms:promote", "node:version", "node:e2e",
				"node:catalog", "node:promote"},
			validate: catalogPath, set: func(c *Config, v string) { c.CatalogPath = v },
			get: func(c *Config) string { return c.CatalogPath }},
	}
}

func secrets() []Variable {
	return []Variable{
		{Name: "GCP_SERVICE_ACCOUNT_KEY", Kind: KindSecret, Secret: true,
			Purpose: "the account that makes images and VMs, and measures them",
			Valid:   "the JSON file of a service account's key, whole and unchanged", Needs: vms(),
			Alternative: "GOOGLE_APPLICATION_CREDENTIALS",
			validate:    accountKey, set: func(c *Config, v string) { c.GCPKey = Secret(v) }},
		{Name: "GHCR_TOKEN", Kind: KindSecret, Secret: true, Purpose: "pushing the key service's images",
			Valid: aToken + "; its scope: packages:write", Needs: []string{"kms:build"}, validate: token,
			set: func(c *Config, v string) { c.RegistryToken = Secret(v) }},
		{Name: "ITA_API_KEY", Kind: KindSecret, Secret: true, Valid: aToken, Uses: appraised(), validate: token,
			Purpose: "an attestation key for it; without one its checks are skipped, which a stable release refuses",
			set:     func(c *Config, v string) { c.ITAKey = Secret(v) }},
		{Name: "COSIGN_PASSWORD", Kind: KindSecret, Secret: true,
			Purpose: "in the spec's list; keyless signing has no key that it could open",
			Valid:   "anything", Uses: []string{"kms:sign", "node:sign"},
			set: func(c *Config, v string) { c.CosignPassword = Secret(v) }},
		{Name: "PHALA_CLOUD_API_KEY", Kind: KindSecret, Secret: true,
			Purpose: "deploying the key service at the dstack provider; beyond the spec's list, which has no key for it",
			Valid:   aToken, Needs: []string{"kms:e2e", "node:e2e"}, validate: token,
			set: func(c *Config, v string) { c.DstackKey = Secret(v) }},
		{Name: "MERO_ANNOUNCE_URL", Kind: KindSecret, Secret: true, Valid: anAddress, validate: address,
			Purpose: "beyond the spec's list: where a promotion is announced, by a POST of JSON; off without one, and never " +
				"a reason to fail", Uses: []string{"kms:promote", "node:promote"},
			set: func(c *Config, v string) { c.AnnounceURL = Secret(v) }},
	}
}

// ours are not in the spec's lists; a workflow or a person's shell sets them.
func ours() []Variable {
	return []Variable{
		{Name: environmentName, Kind: KindRuntime, Valid: "production or rehearsal",
			Purpose: "whether a release is real; must be set in GitHub Actions, and counts as rehearsal elsewhere",
			set:     func(c *Config, v string) { c.Environment = v }},
		{Name: "GITHUB_TOKEN", Kind: KindRuntime, Secret: true, Valid: aToken, validate: token,
			Purpose: "releases and pull requests, CI's verdict and approvals; the job's own, with contents and " +
				"pull-requests: write, and actions, checks and statuses: read",
			Needs: []string{"kms:publish", "kms:propose", "kms:promote", "node:publish", "node:catalog", "node:promote"},
			Uses:  []string{"kms:version", "kms:audit", "node:version", "node:audit"},
			set:   func(c *Config, v string) { c.GitHubToken = Secret(v) }},
		{Name: "GOOGLE_APPLICATION_CREDENTIALS", Kind: KindRuntime,
			Purpose: "a workload identity's credentials, instead of a key",
			Valid:   "the absolute path of a file", Uses: vms(), validate: absolute,
			set: func(c *Config, v string) { c.GCPCredentials = v }},
	}
}

// runner is what GitHub Actions tells a job.
func runner() []Variable {
	return []Variable{
		{Name: "ACTIONS_ID_TOKEN_REQUEST_URL", Kind: KindRuntime, Valid: anAddress, Needs: []string{"kms:sign", "node:sign"},
			validate: address,
			Purpose:  "where a job with id-token: write gets the identity that it signs with",
			set:      func(c *Config, v string) { c.TokenRequestURL = v }},
		{Name: "ACTIONS_ID_TOKEN_REQUEST_TOKEN", Kind: KindRuntime, Secret: true, Purpose: "its credential",
			Valid: aToken, Needs: []string{"kms:sign", "node:sign"}, validate: token,
			set: func(c *Config, v string) { c.TokenRequestToken = Secret(v) }},
		{Name: "GITHUB_ACTIONS", Kind: KindRuntime, Purpose: "says that this is a workflow",
			Valid: "true, or anything else for no",
			set:   func(c *Config, v string) { c.Actions = v == "true" }},
		{Name: "GITHUB_REPOSITORY", Kind: KindRuntime, Purpose: "the repository whose workflows sign", Valid: "owner/name",
			Default: DefaultRepository, validate: repository, set: func(c *Config, v string) { c.Repository = v }},
		{Name: "GITHUB_REF_NAME", Kind: KindRuntime, Purpose: "the tag to release, in a production workflow", Valid: "a tag",
			set: func(c *Config, v string) { c.RefName = v }},
		{Name: "GITHUB_RUN_ID", Kind: KindRuntime, Purpose: "the run: whose approval a promotion needs, what links lead to",
			Valid: "a number", Uses: []string{"kms:promote", "node:promote"}, validate: form(numberForm, "not a number"),
			set: func(c *Config, v string) { c.RunID, _ = strconv.ParseInt(v, 10, 64) }},
		{Name: "GITHUB_SERVER_URL", Kind: KindRuntime, Purpose: "where the run is shown", Valid: anAddress,
			Default: "https://github.com", validate: address, set: func(c *Config, v string) { c.ServerURL = v }},
		{Name: "GITHUB_EVENT_NAME", Kind: KindRuntime, Purpose: "what started the auditor's workflow",
			Valid: "an event's name", set: func(c *Config, v string) { c.EventName = v }},
		{Name: "GITHUB_EVENT_PATH", Kind: KindRuntime, Purpose: "the file with what GitHub says of that event",
			Valid: "a path", set: func(c *Config, v string) { c.EventPath = v }},
		{Name: "GITHUB_STEP_SUMMARY", Kind: KindRuntime, Purpose: "the file behind the run's summary page", Valid: "a path",
			set: func(c *Config, v string) { c.StepSummary = v }},
	}
}
