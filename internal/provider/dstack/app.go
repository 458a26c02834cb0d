package dstack

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// DefaultInstanceType is the shape that the platform file's registers belong to.
const DefaultInstanceType = "tdx.small"

// App is an application to deploy.
type App struct {
	Name         string          // see Name
	Compose      json.RawMessage // the bytes of app-compose.json, whose SHA-256 is the compose hash
	InstanceType string          // DefaultInstanceType when empty
	Region       string          // empty: the provider chooses
	Image        string          // the OS image, "dstack-0.5.9"; empty: the provider takes its newest stable one
	OSImageHash  digest.Digest   // of Image; zero: whatever the provider says
	Service      string          // the compose service whose log explains a failure; "mero-kms" when empty
	Port         int             // the published port that answers GET /health; 8080 when 0

	// Announce learns the app id before anything is made under it, so that a
	// journal can hold it; its error stops the deployment. Called again, the id
	// before was taken by somebody else and nothing of ours is under it.
	Announce func(appID string) error
}

// The provider's grammar (isValidHostname of npm @phala/cloud 0.2.9). A dot was answered 422; "--" is refused too.
var nameForm = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{3,61}[a-zA-Z0-9]$`)

// NewRun is a part of names that no other run has: 8 random letters and digits.
func NewRun() string { return strings.ToLower(rand.Text()[:8]) }

// Name joins parts into a name that the provider accepts: "mero-kms", "1.2.0-rc.1",
// "debug" and "x7k2q9fa" give "mero-kms-1-2-0-rc-1-debug-x7k2q9fa".
func Name(parts ...string) string {
	return strings.NewReplacer(".", "-", "_", "-", "/", "-").Replace(strings.Join(parts, "-"))
}

// withDefaults fills what may be left out.
func (a App) withDefaults() App {
	if a.InstanceType == "" {
		a.InstanceType = DefaultInstanceType
	}
	if a.Service == "" {
		a.Service = "mero-kms"
	}
	if a.Port == 0 {
		a.Port = 8080
	}
	return a
}

func (a App) announce(appID string) error {
	if a.Announce == nil {
		return nil
	}
	return a.Announce(appID)
}

func (a App) check() error {
	if !nameForm.MatchString(a.Name) || strings.Contains(a.Name, "--") {
		return &fault.Error{Code: fault.Usage, Message: "the provider would refuse the name of the CVM",
			Expected: "5 to 63 letters, digits and single hyphens, beginning with a letter", Got: fmt.Sprintf("%.80q", a.Name)}
	}
	if !json.Valid(a.Compose) {
		return &fault.Error{Code: fault.Usage, Message: "app-compose of " + a.Name + " is not JSON"}
	}
	return nil
}

// agrees compares the provider's compose hash with ours.
func (a App) agrees(p *Provisioned) error {
	want := digest.Of(a.Compose).Hex()
	if got := bare(p.ComposeHash); got != want {
		return &fault.Error{Code: fault.Verification,
			Message:  "the provider would run another app-compose than the one handed in",
			Expected: "compose hash " + want, Got: "compose hash " + got,
			Hint: "the provider hashes app-compose as JSON with sorted keys and no white space: compare with what it reports " +
				"as app_compose"}
	}
	return nil
}

// boots refuses a provider that would boot another OS image than the one of that name.
func (a App) boots(p *Provisioned) error {
	got := strings.TrimPrefix(bare(p.OSImageHash), "0x")
	if a.OSImageHash.IsZero() || got == a.OSImageHash.Hex() {
		return nil
	}
	return &fault.Error{Code: fault.Verification, Message: "the provider would boot another OS image than " + a.Image,
		Expected: "os_image_hash " + a.OSImageHash.Hex(), Got: fmt.Sprintf("os_image_hash %q", got),
		Hint: "if the provider replaced its image, observe it and release for it: go tool mage kms:observe " + a.Image}
}

// bare is a hash without the name of its algorithm.
func bare(hash string) string { return strings.TrimPrefix(hash, "sha256:") }
