package compose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// App is dstack's app-compose.json. Fields are in alphabetical order, as in
// its normalized form; all are written out, so that a default of the platform
// that changes does not change what runs.
type App struct {
	AllowedEnvs             []string `json:"allowed_envs"`
	DockerComposeFile       string   `json:"docker_compose_file"`
	GatewayEnabled          bool     `json:"gateway_enabled"`
	KMSEnabled              bool     `json:"kms_enabled"`
	LocalKeyProviderEnabled bool     `json:"local_key_provider_enabled"`
	ManifestVersion         int      `json:"manifest_version"`
	Name                    string   `json:"name"`
	NoInstanceID            bool     `json:"no_instance_id"`
	PublicLogs              bool     `json:"public_logs"`
	PublicSysinfo           bool     `json:"public_sysinfo"`
	PublicTCBInfo           bool     `json:"public_tcbinfo"`
	Runner                  string   `json:"runner"`
	SecureTime              bool     `json:"secure_time"`
}

// AppCompose is app-compose-{profile}.json for a canonical compose file.
func AppCompose(profile release.Profile, composeFile []byte) ([]byte, error) {
	if _, err := release.ParseProfile(string(profile)); err != nil {
		return nil, err
	}
	return normalized(App{
		AllowedEnvs:       []string{}, // nothing is handed in from outside the measurement
		DockerComposeFile: string(composeFile),
		GatewayEnabled:    true, // nodes reach the service through the gateway
		KMSEnabled:        true, // keys come from the platform's key management
		ManifestVersion:   2,
		Name:              "mero-kms-" + string(profile),
		PublicLogs:        profile != release.LockedReadOnly,
		PublicTCBInfo:     true, // anyone may read the event log and check it
		Runner:            "docker-compose",
		SecureTime:        true, // challenges and collateral expire: the clock must be right before the service starts
	})
}

// ParseApp reads the bytes that AppCompose writes, and no others.
func ParseApp(data []byte) (App, error) {
	var app App
	err := canonical.Unmarshal(data, &app)
	if err == nil {
		var again []byte
		if again, err = normalized(app); err == nil && !bytes.Equal(again, data) {
			err = errors.New("not in dstack's normalized form")
		}
	}
	if err == nil && (app.ManifestVersion != 2 || app.Runner != "docker-compose" || len(app.AllowedEnvs) > 0) {
		err = fmt.Errorf("manifest %d for %q with %d open variables is not ours", app.ManifestVersion, app.Runner, len(app.AllowedEnvs))
	}
	if err != nil {
		return App{}, &fault.Error{Code: fault.Verification, Message: "app-compose", Err: err}
	}
	return app, nil
}

// Service is what a canonical compose file says about one service, in the
// long forms that Canonical writes.
type Service struct {
	Image       string            `json:"image"`
	Environment map[string]string `json:"environment"`
	Ports       []Port            `json:"ports"`
	Volumes     []Volume          `json:"volumes"`
}

// Port is one published port.
type Port struct {
	Target    int    `json:"target"`    // inside the container
	Published string `json:"published"` // on the host
	Protocol  string `json:"protocol"`
}

// Volume is one mount.
type Volume struct {
	Type   string `json:"type"` // "bind" or "volume"
	Source string `json:"source"`
	Target string `json:"target"`
}

// Services reads the app's compose file: services by name.
func (a App) Services() (map[string]Service, error) {
	var file struct {
		Services map[string]Service `json:"services"`
	}
	if err := json.Unmarshal([]byte(a.DockerComposeFile), &file); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "compose file of " + a.Name, Err: err}
	}
	return file.Services, nil
}

// Hash is the compose hash: the SHA-256 of the raw bytes of an app-compose file.
func Hash(appCompose []byte) digest.Digest { return digest.Of(appCompose) }
