package kms

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
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
	TrustedRoot   string   // path of Sigstore's trusted_root.json; empty: the policy needs no signature
	TDXRoot       string   // SHA-256 of the DER of the one trusted root, 64 hex digits
	PCSURL        string   // who answers for Intel's service; empty: Intel
	MinEvaluation int      // smallest tcbEvaluationDataNumber that is believed
	Listen        string   // host:port
	Metrics       string   // host:port of /metrics; empty: not served
	GuestSocket   string
	ChallengeTTL  time.Duration
	Redis         *redis.Options // where challenges are kept; nil: in memory
	KeyPrefix     string         // without slashes at its ends
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
