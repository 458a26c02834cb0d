package config

// given is what nobody keeps in a repository's settings.
func given() []Variable {
	return append([]Variable{
		{Name: environmentName, Kind: KindGiven, Purpose: "whether a release is real; must be set in GitHub Actions, and counts as rehearsal elsewhere",
			Valid: "production or rehearsal", set: func(c *Config, v string) { c.Environment = v }},
		{Name: "GITHUB_TOKEN", Kind: KindGiven, Secret: true, Purpose: "releases and pull requests; the job's own, with contents and pull-requests: write",
			Valid: aToken, Needs: []string{"kms:publish", "kms:promote", "node:publish", "node:catalog", "node:promote"},
			Uses: []string{"kms:version", "kms:audit", "node:version", "node:audit"}, wrong: token,
			set: func(c *Config, v string) { c.GitHubToken = Secret(v) }},
		{Name: "GOOGLE_APPLICATION_CREDENTIALS", Kind: KindGiven, Purpose: "a workload identity's credentials, instead of a key",
			Valid: "the absolute path of a file", Uses: vms(), wrong: absolute,
			set: func(c *Config, v string) { c.GCPCredentials = v }},
	}, fromRunner()...)
}

// fromRunner is what GitHub Actions tells a job.
func fromRunner() []Variable {
	return []Variable{
		{Name: "ACTIONS_ID_TOKEN_REQUEST_URL", Kind: KindGiven, Purpose: "where a job with id-token: write gets the identity that it signs with",
			Valid: anAddress, Needs: []string{"kms:sign", "node:sign"}, wrong: address,
			set: func(c *Config, v string) { c.TokenRequestURL = v }},
		{Name: "ACTIONS_ID_TOKEN_REQUEST_TOKEN", Kind: KindGiven, Secret: true, Purpose: "its credential",
			Valid: aToken, Needs: []string{"kms:sign", "node:sign"}, wrong: token,
			set: func(c *Config, v string) { c.TokenRequestToken = Secret(v) }},
		{Name: "GITHUB_ACTIONS", Kind: KindGiven, Purpose: "says that this is a workflow", Valid: "true, or anything else for no",
			set: func(c *Config, v string) { c.Actions = v == "true" }},
		{Name: "GITHUB_REPOSITORY", Kind: KindGiven, Purpose: "the repository whose workflows sign", Valid: "owner/name",
			Default: DefaultRepository, wrong: repository,
			set: func(c *Config, v string) { c.Repository = v }},
		{Name: "GITHUB_REF_NAME", Kind: KindGiven, Purpose: "the tag to release, in a workflow", Valid: "a tag",
			set: func(c *Config, v string) { c.RefName = v }},
		{Name: "GITHUB_STEP_SUMMARY", Kind: KindGiven, Purpose: "the file behind the run's summary page", Valid: "a path",
			set: func(c *Config, v string) { c.StepSummary = v }},
	}
}
