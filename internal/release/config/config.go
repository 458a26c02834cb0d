// Package config is the configuration of the spec ("CI/CD Setup"): ten
// variables, four secrets and the few things that the runner tells.
//
// Its promise: it is the only reader of the process environment; every value is
// listed in Variables, typed and checked here, once, before anything is done
// with it; and a secret never appears in a message.
package config

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// The two environments of law 1.
const (
	Rehearsal  = "rehearsal"
	Production = "production"
)

// DefaultRepository is the repository whose workflows sign releases.
const DefaultRepository = "calimero-network/mero-tee"

// DefaultDstackURL is Phala's API, the dstack provider that is taken unless PHALA_DSTACK_URL names another.
const DefaultDstackURL = "https://cloud-api.phala.com/api/v1"

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

// HasPrefix says whether the value begins like that, as the kinds of tokens do.
func (s Secret) HasPrefix(prefix string) bool { return strings.HasPrefix(string(s), prefix) }

// Reveal returns the value, for the client that needs it.
func (s Secret) Reveal() string { return string(s) }

// Config is everything that a release is told from outside.
type Config struct {
	Environment string // MERO_ENVIRONMENT
	Actions     bool   // GITHUB_ACTIONS: the process runs in a workflow
	Repository  string // GITHUB_REPOSITORY, owner/name
	RefName     string // GITHUB_REF_NAME, the tag in a release workflow
	RunID       int64  // GITHUB_RUN_ID, the workflow run; 0 outside of one
	EventName   string // GITHUB_EVENT_NAME, what started the workflow
	EventPath   string // GITHUB_EVENT_PATH, the file with what GitHub says of it
	StepSummary string // GITHUB_STEP_SUMMARY, the file behind the run's summary page
	ServerURL   string // GITHUB_SERVER_URL

	KMSVersion  release.Version // MERO_KMS_VERSION; the zero version when it is not set
	Profile     release.Profile // MERO_KMS_PROFILE: what E2E treats as the production profile
	TEEVersion  release.Version // MERO_TEE_VERSION; likewise
	GCPProject  string          // GCP_PROJECT_ID
	GCPZone     string          // GCP_ZONE
	GCPFamily   string          // GCP_IMAGE_FAMILY
	Registry    string          // GHCR_REGISTRY
	DstackURL   string          // PHALA_DSTACK_URL
	ITAURL      string          // ITA_API_URL
	CatalogPath string          // COMPATIBILITY_CATALOG_PATH, in the repository

	GCPKey         Secret // GCP_SERVICE_ACCOUNT_KEY
	RegistryToken  Secret // GHCR_TOKEN
	ITAKey         Secret // ITA_API_KEY
	AnnounceURL    Secret // MERO_ANNOUNCE_URL
	CosignPassword Secret // COSIGN_PASSWORD: read and reported; keyless signing has no use for it

	GCPCredentials string // GOOGLE_APPLICATION_CREDENTIALS: a file, as a workload identity has it

	GitHubToken       Secret // GITHUB_TOKEN
	DstackKey         Secret // PHALA_CLOUD_API_KEY
	TokenRequestURL   string // ACTIONS_ID_TOKEN_REQUEST_URL
	TokenRequestToken Secret // ACTIONS_ID_TOKEN_REQUEST_TOKEN
}

// Lookup reads one variable, as os.LookupEnv does.
type Lookup func(name string) (string, bool)

// Load reads and checks the configuration; its error tells of the first
// variable that is not what it must be.
func Load(lookup Lookup) (*Config, error) {
	c, entries := Inspect(lookup)
	if err := Fault(entries); err != nil {
		return nil, err
	}
	return c, nil
}

// Entry is what became of one variable.
type Entry struct {
	*Variable
	Set bool  // it has a value; an empty one is none, as in GitHub Actions
	Err error // why the value cannot be taken; never holds a secret
}

// Inspect says of every variable whether it is set and valid. The
// configuration, which need not be, is only to be looked at.
func Inspect(lookup Lookup) (*Config, []Entry) {
	// Every field is filled first: what a value must be may depend on the environment.
	c, all := &Config{}, Variables()
	values := make([]string, len(all))
	for i := range all {
		values[i], _ = lookup(all[i].Name)
		all[i].set(c, cmp.Or(values[i], all[i].Default))
	}
	entries := make([]Entry, len(all))
	for i := range all {
		entries[i] = Entry{Variable: &all[i], Set: values[i] != "", Err: all[i].check(c, values[i])}
	}
	if c.Environment == "" && !c.Actions {
		c.Environment = Rehearsal
	}
	return c, entries
}

// RunPage is where the workflow's run, whose log has every check, can be looked at; empty outside of one.
func (c *Config) RunPage() string {
	if c.RunID == 0 {
		return ""
	}
	return fmt.Sprintf("%s/%s/actions/runs/%d", c.ServerURL, c.Repository, c.RunID)
}

// Version is what the family's version variable holds, the zero version when it is not set.
func (c *Config) Version(f release.Family) release.Version {
	if f == release.KMS {
		return c.KMSVersion
	}
	return c.TEEVersion
}

// Current is the release that the family's version variable names.
func (c *Config) Current(f release.Family) (release.Tag, error) {
	tag := release.Tag{Family: f, Version: c.Version(f)}
	if tag.Version == (release.Version{}) {
		return tag, &fault.Error{Code: fault.Usage, Message: f.VersionVariable() + " is not set",
			Expected: aVersion, Got: "nothing",
			Hint: "set it for the repository: a variable that is set in one of its GitHub environments reaches no other job"}
	}
	return tag, nil
}
