package compose

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// App is dstack's app-compose.json. Fields are in alphabetical order, as in
// its normalized form; all seventeen that the provider's API would add are
// written out, so that it stores the file as it is and what it adds by default
// does not run. key_provider is absent: the API adds none.
type App struct {
	AllowedEnvs             []string `json:"allowed_envs"`
	DockerComposeFile       string   `json:"docker_compose_file"`
	Features                []string `json:"features"`
	GatewayEnabled          bool     `json:"gateway_enabled"`
	KMSEnabled              bool     `json:"kms_enabled"`
	LocalKeyProviderEnabled bool     `json:"local_key_provider_enabled"`
	ManifestVersion         int      `json:"manifest_version"`
	Name                    string   `json:"name"`
	NoInstanceID            bool     `json:"no_instance_id"`
	PreLaunchScript         string   `json:"pre_launch_script"`
	PublicLogs              bool     `json:"public_logs"`
	PublicSysinfo           bool     `json:"public_sysinfo"`
	PublicTCBInfo           bool     `json:"public_tcbinfo"`
	Runner                  string   `json:"runner"`
	SecureTime              bool     `json:"secure_time"`
	StorageFS               string   `json:"storage_fs"`
	TproxyEnabled           bool     `json:"tproxy_enabled"` // gateway_enabled by its older name
}

// preLaunchScript takes the place of the provider's own, which would set a root
// password and SSH keys that somebody hands in from outside the measurement. The
// shell that starts the containers sources it: it must not exit.
const preLaunchScript = "#!/bin/bash\n" +
	"# Nothing is prepared: no password is set, no SSH key is installed, no registry is logged in to.\n" +
	"echo \"mero-kms: nothing to prepare\"\n"

// AppCompose is app-compose-{profile}.json for a canonical compose file.
func AppCompose(profile release.Profile, composeFile []byte) ([]byte, error) {
	if _, err := release.ParseProfile(string(profile)); err != nil {
		return nil, err
	}
	return normalized(App{
		AllowedEnvs:       []string{}, // nothing is handed in from outside the measurement
		DockerComposeFile: string(composeFile),
		Features:          []string{"kms", "tproxy-net"},
		GatewayEnabled:    true, // nodes reach the service through the gateway
		KMSEnabled:        true, // keys come from the platform's key management
		ManifestVersion:   2,
		Name:              "mero-kms-" + string(profile),
		PreLaunchScript:   preLaunchScript,
		PublicLogs:        profile != release.LockedReadOnly,
		PublicTCBInfo:     true, // anyone may read the event log and check it
		Runner:            "docker-compose",
		SecureTime:        true, // challenges and collateral expire: the clock must be right before the service starts
		StorageFS:         "zfs",
		TproxyEnabled:     true,
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
		err = fmt.Errorf("manifest %d for %q with %d open variables is not ours", app.ManifestVersion, app.Runner,
			len(app.AllowedEnvs))
	}
	if err == nil && app.PreLaunchScript != preLaunchScript {
		err = fmt.Errorf("the pre-launch script is not ours: %.80q", app.PreLaunchScript)
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

// Reconfigure returns the app-compose file with other values for some of the
// variables that its one service sets: another file, with a compose hash of its
// own. A variable that the service does not set is an error with code Usage.
func Reconfigure(appCompose []byte, variables map[string]string) ([]byte, error) {
	app, err := ParseApp(appCompose)
	if err != nil {
		return nil, err
	}
	var file map[string]any
	if err := json.Unmarshal([]byte(app.DockerComposeFile), &file); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "compose file of " + app.Name, Err: err}
	}
	environment, err := soleEnvironment(file)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if _, set := environment[name]; !set {
			return nil, &fault.Error{Code: fault.Usage, Message: fmt.Sprintf("%s does not set %s", app.Name, name)}
		}
		environment[name] = variables[name]
	}
	composeFile, err := normalized(file)
	if err != nil {
		return nil, err
	}
	if err := settled(composeFile); err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: app.Name, Err: err}
	}
	app.DockerComposeFile = string(composeFile)
	return normalized(app)
}

// soleEnvironment finds the variables in the canonical form that Canonical writes.
func soleEnvironment(file map[string]any) (map[string]any, error) {
	services, _ := file["services"].(map[string]any)
	for _, s := range services {
		service, _ := s.(map[string]any)
		if environment, ok := service["environment"].(map[string]any); ok && len(services) == 1 {
			return environment, nil
		}
	}
	return nil, fault.Mismatch("compose file",
		"one service with an environment", fmt.Sprintf("%d services", len(services)))
}

// FormatHashes is compose-hash.txt: one line per profile, in the spec's order,
// "sha256:<64 hex>  <profile>". A profile that is missing from hashes is an error.
func FormatHashes(hashes map[release.Profile]digest.Digest) ([]byte, error) {
	var b bytes.Buffer
	for _, p := range release.Profiles() {
		hash, ok := hashes[p]
		if !ok {
			return nil, &fault.Error{Code: fault.General, Message: "no compose hash for " + string(p)}
		}
		fmt.Fprintf(&b, "%s  %s\n", hash, p)
	}
	return b.Bytes(), nil
}

// ParseHashes reads exactly what FormatHashes writes; errors carry code 10.
func ParseHashes(data []byte) (map[release.Profile]digest.Digest, error) {
	out := map[release.Profile]digest.Digest{}
	rest := string(data)
	for _, p := range release.Profiles() {
		line, after, found := strings.Cut(rest, "\n")
		text, ok := strings.CutSuffix(line, "  "+string(p))
		hash, err := digest.Parse(text)
		if !found || !ok || err != nil {
			return nil, hashesFault(fmt.Sprintf("sha256:<64 hex>  %s", p), fmt.Sprintf("%.200q", line))
		}
		out[p] = hash
		rest = after
	}
	if rest != "" {
		return nil, hashesFault("nothing after the last profile", fmt.Sprintf("%.200q", rest))
	}
	return out, nil
}

func hashesFault(expected, got string) error {
	return fault.Mismatch(release.ComposeHashAsset, expected, got)
}
