package kms

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// "These are legacy overrides that bypass the structured policy file."
func refuseLegacy(env map[string]string) error {
	var found []string
	for name := range env {
		if strings.HasPrefix(name, "ALLOWED_") {
			found = append(found, name)
		}
	}
	if len(found) == 0 {
		return nil
	}
	slices.Sort(found)
	return &fault.Error{Code: fault.Usage, Message: found[0] + " is set; measurements come from the policy file alone",
		Expected: "no variable ALLOWED_*", Got: strings.Join(found, ", "),
		Hint: "unset it and set MERO_KMS_POLICY_URL to an attestation-policy-{profile}.json"}
}

var digestForm = regexp.MustCompile(`^[0-9a-f]{64}$`)

func (c *Config) readVersion(env map[string]string) (err error) {
	if c.Version, err = release.ParseVersion(env["MERO_KMS_VERSION"]); err != nil {
		return fmt.Errorf("MERO_KMS_VERSION: %w", err)
	}
	return nil
}

func (c *Config) readProfile(env map[string]string) (err error) {
	if c.Profile, err = release.ParseProfile(env["MERO_KMS_PROFILE"]); err != nil {
		return fmt.Errorf("MERO_KMS_PROFILE: %w", err)
	}
	return nil
}

func (c *Config) readPolicy(env map[string]string) error {
	asset := fmt.Sprintf("https://github.com/%s/releases/download/%s/%s", repository, c.tag(), release.PolicyAsset(c.Profile))
	text := or(env["MERO_KMS_POLICY_URL"], asset)
	u, err := url.Parse(text)
	remote := err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
	local := err == nil && u.Scheme == "file" && u.Host == "" && strings.HasPrefix(u.Path, "/")
	if !remote && !local {
		return usage("MERO_KMS_POLICY_URL", "https://host/path without credentials, or file:///path", text)
	}
	c.PolicyURL = u
	c.PolicySHA256, c.TrustedRoot = env["MERO_KMS_POLICY_SHA256"], env["MERO_KMS_TRUSTED_ROOT"]
	if c.PolicySHA256 != "" && !digestForm.MatchString(c.PolicySHA256) {
		return usage("MERO_KMS_POLICY_SHA256", "64 lower-case hex digits", c.PolicySHA256)
	}
	return nil
}

func (c *Config) readRoot(env map[string]string) error {
	c.TDXRoot = or(env["MERO_KMS_TDX_ROOT_SHA256"], tdx.IntelRootSHA256)
	if !digestForm.MatchString(c.TDXRoot) {
		return usage("MERO_KMS_TDX_ROOT_SHA256", "64 lower-case hex digits", c.TDXRoot)
	}
	return nil
}

func (c *Config) readCollateral(env map[string]string) error {
	c.PCSURL = env["MERO_KMS_PCS_URL"]
	if c.PCSURL != "" {
		u, err := url.Parse(c.PCSURL)
		if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return usage("MERO_KMS_PCS_URL", "https://host[:port][/path] without credentials", c.PCSURL)
		}
	}
	text := or(env["MERO_KMS_MIN_TCB_EVALUATION_NUMBER"], "0")
	n, err := strconv.Atoi(text)
	if c.MinEvaluation = n; err != nil || n < 0 {
		return usage("MERO_KMS_MIN_TCB_EVALUATION_NUMBER", "a number from 0 up", text)
	}
	return nil
}

const maxChallengeTTL = time.Hour

func (c *Config) readChallenges(env map[string]string) error {
	text := or(env["CHALLENGE_TTL_SECS"], "60")
	n, err := strconv.Atoi(text)
	if c.ChallengeTTL = time.Duration(n) * time.Second; err != nil || n < 1 || c.ChallengeTTL > maxChallengeTTL {
		return usage("CHALLENGE_TTL_SECS", "a number of seconds from 1 to 3600", text)
	}
	if text = env["REDIS_URL"]; text == "" {
		return nil
	}
	if c.Redis, err = redis.ParseURL(text); err != nil { // neither the value nor the error is repeated: both may hold a password
		return &fault.Error{Code: fault.Usage, Message: "REDIS_URL is malformed",
			Expected: "redis://, rediss:// or unix:// with user, password, host, port and database", Got: "something else"}
	}
	return nil
}

// prefixForm keeps `<prefix>/<profile>/<peerId>` unambiguous: no empty segment, no dots to climb with.
var prefixForm = regexp.MustCompile(`^[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*$`)

func (c *Config) readKeyPrefix(env map[string]string) error {
	c.KeyPrefix = strings.Trim(or(env["KEY_NAMESPACE_PREFIX"], "merod/storage"), "/")
	if len(c.KeyPrefix) > 128 || !prefixForm.MatchString(c.KeyPrefix) {
		return usage("KEY_NAMESPACE_PREFIX", "letters, digits, _ and - between single slashes", c.KeyPrefix)
	}
	return nil
}

func usage(name, expected, got string) error {
	return &fault.Error{Code: fault.Usage, Message: name + " is malformed", Expected: expected, Got: strconv.Quote(got)}
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
