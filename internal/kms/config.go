package kms

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
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

// ImageProfile is where the image pins the profile it was built for.
const ImageProfile = "/etc/mero-kms/image-profile"

// Config is what one instance of the service runs with.
type Config struct {
	Version       release.Version
	Profile       release.Profile
	PolicyURL     *url.URL // https or file
	PolicySHA256  string   // 64 hex digits; empty means not pinned
	Unsigned      bool     // the policy needs no signature: its pin alone vouches for it
	TrustedRoot   string   // path of a Sigstore trusted_root.json; empty: the public one, which the program carries
	TDXRoot       string   // SHA-256 of the DER of the one trusted root, 64 hex digits
	PCSURL        string   // who answers for Intel's service; empty: Intel
	MinEvaluation int      // smallest tcbEvaluationDataNumber that is believed
	Listen        string   // host:port
	Metrics       string   // host:port of /metrics; empty: not served
	GuestSocket   string
	ChallengeTTL  time.Duration
	Redis         *redis.Options // where challenges are kept; nil: in memory
	KeyPrefix     string         // without slashes at its ends
	RequireSealed bool           // no key leaves in the clear
}

// repository is whose releases this service belongs to.
const repository = "calimero-network/mero-tee"

// tag is the release that this service is of.
func (c Config) tag() release.Tag { return release.Tag{Family: release.KMS, Version: c.Version} }

// Intel says whether the one trusted root is Intel's.
func (c Config) Intel() bool { return c.TDXRoot == tdx.IntelRootSHA256 }

// Load reads the environment ("NAME=value" each) and the image's profile pin,
// which need not exist outside an image. Its errors have code Usage.
func Load(environ []string, imageProfile string) (Config, error) {
	env := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		env[name] = value
	}
	if err := refuseLegacy(env); err != nil {
		return Config{}, err
	}
	c := Config{
		Listen:      or(env["LISTEN_ADDR"], "0.0.0.0:8080"),
		Metrics:     env["METRICS_ADDR"],
		GuestSocket: or(env["DSTACK_SOCKET_PATH"], "/var/run/dstack.sock"),
	}
	for _, read := range []func(map[string]string) error{
		c.readVersion, c.readProfile, c.readPolicy, c.readRoot, c.readCollateral, c.readChallenges, c.readKeyPrefix,
		c.readSealed,
	} {
		if err := read(env); err != nil {
			return Config{}, err
		}
	}
	return c, c.checkPin(imageProfile)
}

// checkPin compares the environment's profile with the one the image was built for.
func (c *Config) checkPin(path string) error {
	pinned, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return &fault.Error{Code: fault.Usage, Message: "the image's profile pin is unreadable", Err: err}
	}
	if got := strings.TrimSuffix(string(pinned), "\n"); got != string(c.Profile) {
		return &fault.Error{Code: fault.Usage, Message: "MERO_KMS_PROFILE disagrees with the image",
			Expected: fmt.Sprintf("%q, which %s pins", got, path), Got: string(c.Profile),
			Hint: "deploy the image of the profile you want: one image serves one profile"}
	}
	return nil
}

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
	asset := fmt.Sprintf("https://github.com/%s/releases/download/%s/%s", repository, c.tag(),
		release.PolicyAsset(c.Profile))
	text := or(env["MERO_KMS_POLICY_URL"], asset)
	u, err := url.Parse(text)
	remote := err == nil && u.Scheme == "https" && u.Host != "" && u.User == nil
	local := err == nil && u.Scheme == "file" && u.Host == "" && u.User == nil && strings.HasPrefix(u.Path, "/")
	if !remote && !local {
		return usage("MERO_KMS_POLICY_URL", "https://host/path without credentials, or file:///path", bare(text))
	}
	c.PolicyURL = u
	c.PolicySHA256, c.TrustedRoot = env["MERO_KMS_POLICY_SHA256"], env["MERO_KMS_TRUSTED_ROOT"]
	if c.PolicySHA256 != "" && !digestForm.MatchString(c.PolicySHA256) {
		return usage("MERO_KMS_POLICY_SHA256", "64 lower-case hex digits", c.PolicySHA256)
	}
	return c.readSignature(env)
}

func (c *Config) readSignature(env map[string]string) error {
	text := or(env["MERO_KMS_POLICY_SIGNATURE"], "required")
	if text != "required" && text != "none" {
		return usage("MERO_KMS_POLICY_SIGNATURE", "required or none", text)
	}
	if c.Unsigned = text == "none"; c.Unsigned && c.PolicySHA256 == "" {
		return &fault.Error{Code: fault.Usage, Message: "nothing vouches for the policy",
			Expected: "MERO_KMS_POLICY_SHA256 where MERO_KMS_POLICY_SIGNATURE is none", Got: "no pin",
			Hint: "pin the policy that you verified with `go tool mage verify:release`"}
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
			return usage("MERO_KMS_PCS_URL", "https://host[:port][/path] without credentials", bare(c.PCSURL))
		}
	}
	text := or(env["MERO_KMS_MIN_TCB_EVALUATION_NUMBER"], "0")
	n, err := strconv.Atoi(text)
	if c.MinEvaluation = n; err != nil || n < 0 {
		return usage("MERO_KMS_MIN_TCB_EVALUATION_NUMBER", "a number from 0 up", text)
	}
	return nil
}

const maxChallengeSeconds = 3600

func (c *Config) readChallenges(env map[string]string) error {
	text := or(env["CHALLENGE_TTL_SECS"], "60")
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxChallengeSeconds { // before it is multiplied: a large one would overflow
		return usage("CHALLENGE_TTL_SECS", fmt.Sprintf("a number of seconds from 1 to %d", maxChallengeSeconds), text)
	}
	c.ChallengeTTL = time.Duration(n) * time.Second
	return c.readRedis(env["REDIS_URL"])
}

// maxRedis bounds each number in REDIS_URL: its client takes memory for it at once, or panics.
const maxRedis = 10_000

// readRedis repeats neither the value nor its error: both may hold a password.
func (c *Config) readRedis(text string) (err error) {
	if text == "" {
		return nil
	}
	if c.Redis, err = redis.ParseURL(text); err != nil {
		return &fault.Error{Code: fault.Usage, Message: "REDIS_URL is malformed",
			Expected: "redis://, rediss:// or unix:// with user, password, host, port and database", Got: "something else"}
	}
	for name, n := range map[string]int{"database": c.Redis.DB, "pool_size": c.Redis.PoolSize,
		"min_idle_conns": c.Redis.MinIdleConns, "max_idle_conns": c.Redis.MaxIdleConns,
		"max_active_conns": c.Redis.MaxActiveConns, "max_concurrent_dials": c.Redis.MaxConcurrentDials} {
		if n < 0 || n > maxRedis {
			return &fault.Error{Code: fault.Usage, Message: "REDIS_URL is malformed",
				Expected: fmt.Sprintf("%s from 0 to %d", name, maxRedis), Got: strconv.Itoa(n)}
		}
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

func (c *Config) readSealed(env map[string]string) error {
	text := or(env["MERO_KMS_REQUIRE_SEALED_KEY_RELEASE"], "true")
	if text != "true" && text != "false" { // nothing else is guessed at: false gives keys away
		return usage("MERO_KMS_REQUIRE_SEALED_KEY_RELEASE", "true or false", text)
	}
	c.RequireSealed = text == "true"
	return nil
}

func usage(name, expected, got string) error {
	return &fault.Error{Code: fault.Usage, Message: name + " is malformed", Expected: expected, Got: strconv.Quote(got)}
}

// bare is an address without what may be a secret in it: who logs in, and a query.
func bare(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return "something else"
	}
	return withoutSecrets(u)
}

func withoutSecrets(u *url.URL) string {
	shown := *u
	if shown.User != nil {
		shown.User = url.User("xxxxx") // as Redacted has it
	}
	if shown.RawQuery != "" {
		shown.RawQuery = "xxxxx"
	}
	return shown.String()
}

func or(value, otherwise string) string {
	if value == "" {
		return otherwise
	}
	return value
}
