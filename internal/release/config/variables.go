package config

import "github.com/calimero-network/mero-tee/internal/release"

const environmentName = "MERO_ENVIRONMENT"

// Variables lists everything that is read: the spec's ten variables and four
// secrets in the spec's order, and then what is ours.
func Variables() []Variable {
	out := append(versions(), cloud()...)
	out = append(out, services()...)
	out = append(out, secrets()...)
	return append(out, given()...)
}

// steps that boot nodes as VMs.
func vms() []string { return []string{"node:build", "node:measure", "node:e2e", "kms:e2e"} }

func trials() []string { return []string{"kms:e2e", "node:e2e"} }

func versions() []Variable {
	return []Variable{
		{Name: "MERO_KMS_VERSION", Kind: KindVariable, Purpose: "the key service's current version; a tag must agree with it",
			Valid: aVersion, Needs: []string{"kms:version", "node:version", "node:e2e"}, wrong: version,
			set: func(c *Config, v string) { c.KMSVersion = v }},
		{Name: "MERO_KMS_PROFILE", Kind: KindVariable, Purpose: "the profile that E2E treats as the production one",
			Valid: aProfile, Default: string(release.LockedReadOnly), Uses: append([]string{"kms:build"}, trials()...), wrong: profile,
			set: func(c *Config, v string) { c.Profile = release.Profile(v) }},
		{Name: "MERO_TEE_VERSION", Kind: KindVariable, Purpose: "the node images' current version; a tag must agree with it",
			Valid: aVersion, Needs: []string{"node:version", "kms:version", "kms:policy", "kms:e2e"}, wrong: version,
			set: func(c *Config, v string) { c.TEEVersion = v }},
	}
}

func cloud() []Variable {
	return []Variable{
		{Name: "GCP_PROJECT_ID", Kind: KindVariable, Purpose: "the Google Cloud project of images and TDX VMs",
			Valid: "a project's id (mero-tee-prod), not its title or number", Needs: vms(), wrong: form(projectForm, "not a project id"),
			set: func(c *Config, v string) { c.GCPProject = v }},
		{Name: "GCP_ZONE", Kind: KindVariable, Purpose: "the zone of TDX VMs",
			Valid: "a zone with TDX, for example us-central1-a", Needs: vms(), wrong: form(zoneForm, "not a zone"),
			set: func(c *Config, v string) { c.GCPZone = v }},
		{Name: "GCP_IMAGE_FAMILY", Kind: KindVariable, Purpose: "the image family that node images are put into",
			Valid: "a family name: a letter, then letters, digits and hyphens in lower case, at most 63", Uses: []string{"node:build"},
			wrong: form(familyForm, "not a family name"), set: func(c *Config, v string) { c.GCPFamily = v }},
	}
}

func services() []Variable {
	return []Variable{
		{Name: "GHCR_REGISTRY", Kind: KindVariable, Purpose: "where the key service's images go",
			Valid: "HOST/OWNER in lower case, without https:// and without a tag", Default: "ghcr.io/calimero-network",
			Uses: []string{"kms:build"}, wrong: form(registryForm, "not a registry path"),
			set: func(c *Config, v string) { c.Registry = v }},
		{Name: "PHALA_DSTACK_URL", Kind: KindVariable, Purpose: "the dstack provider's API, where E2E runs the key service",
			Valid: anAddress + ", for example https://cloud-api.phala.com/api/v1", Needs: trials(), wrong: address,
			set: func(c *Config, v string) { c.DstackURL = v }},
		{Name: "ITA_API_URL", Kind: KindVariable, Purpose: "Intel Trust Authority, which appraises quotes beside our own verification",
			Valid: "https://api.… without a path", Default: "https://api.trustauthority.intel.com",
			Uses: append([]string{"node:measure"}, trials()...), wrong: hostAlone,
			set: func(c *Config, v string) { c.ITAURL = v }},
		{Name: "COMPATIBILITY_CATALOG_PATH", Kind: KindVariable, Purpose: "the compatibility catalog",
			Valid: "a path of a JSON file inside the repository", Uses: []string{"kms:version", "kms:catalog", "kms:promote", "node:version", "node:catalog"},
			wrong: catalogPath, set: func(c *Config, v string) { c.CatalogPath = v }},
	}
}

func secrets() []Variable {
	return []Variable{
		{Name: "GCP_SERVICE_ACCOUNT_KEY", Kind: KindSecret, Secret: true, Purpose: "the account that makes images and VMs, and measures them",
			Valid: "the JSON file of a service account's key, whole and unchanged", Needs: vms(), Instead: "GOOGLE_APPLICATION_CREDENTIALS", wrong: accountKey,
			set: func(c *Config, v string) { c.GCPKey = Secret(v) }},
		{Name: "GHCR_TOKEN", Kind: KindSecret, Secret: true, Purpose: "pushing the key service's images",
			Valid: aToken + "; its scope: packages:write", Needs: []string{"kms:build"}, wrong: token,
			set: func(c *Config, v string) { c.RegistryToken = Secret(v) }},
		{Name: "ITA_API_KEY", Kind: KindSecret, Secret: true, Purpose: "an attestation key for it; without one its checks are skipped, which a stable release refuses",
			Valid: aToken, Uses: append([]string{"node:measure"}, trials()...), wrong: token,
			set: func(c *Config, v string) { c.ITAKey = Secret(v) }},
		{Name: "COSIGN_PASSWORD", Kind: KindSecret, Secret: true, Purpose: "in the spec's list; keyless signing has no key that it could open",
			Valid: "anything", Uses: []string{"kms:sign", "node:sign"},
			set: func(c *Config, v string) { c.CosignPassword = Secret(v) }},
		{Name: "PHALA_CLOUD_API_KEY", Kind: KindSecret, Secret: true, Purpose: "deploying the key service at the dstack provider",
			Valid: aToken, Needs: trials(), wrong: token,
			set: func(c *Config, v string) { c.DstackKey = Secret(v) }},
	}
}
