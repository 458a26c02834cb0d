package dstack

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
)

// maxPayload bounds the compose file and the pre-launch script together, in bytes.
const maxPayload = 200 << 10

// providersScript stands for the provider's own pre-launch script, which would
// take a root password and SSH keys from outside the measurement.
const providersScript = "#!/bin/bash\n# the provider's own script, for applications that bring none\n"

// additions are what the API adds to an app-compose file that leaves it out,
// before it hashes and stores the file. key_provider is not among them.
func additions() map[string]any {
	return map[string]any{
		"allowed_envs": []string{}, "features": []string{"kms", "tproxy-net"}, "gateway_enabled": true, "kms_enabled": true,
		"local_key_provider_enabled": false, "manifest_version": 2, "name": "", "no_instance_id": false,
		"pre_launch_script": providersScript, "public_logs": true, "public_sysinfo": true, "public_tcbinfo": true,
		"runner": "docker-compose", "secure_time": false, "storage_fs": "zfs", "tproxy_enabled": true,
	}
}

// manifest is what an app-compose file must be made of.
type manifest struct {
	AllowedEnvs             []string `json:"allowed_envs"`
	DockerCompose           *string  `json:"docker_compose_file"`
	Features                []string `json:"features"`
	GatewayEnabled          bool     `json:"gateway_enabled"`
	KeyProvider             string   `json:"key_provider"`
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
	TproxyEnabled           bool     `json:"tproxy_enabled"`
}

func (m manifest) check() error {
	switch {
	case m.DockerCompose == nil:
		return errors.New("docker_compose_file: Field required")
	case m.StorageFS != "zfs" && m.StorageFS != "ext4":
		return fmt.Errorf("storage_fs: %q is neither ext4 nor zfs", m.StorageFS)
	case len(*m.DockerCompose)+len(m.PreLaunchScript) > maxPayload:
		return errors.New("the compose file and the pre-launch script exceed 200KB")
	}
	return nil
}

// stored is an app-compose file as the API keeps it: completed, and what it
// does not know kept as it is.
func stored(raw json.RawMessage, more map[string]any) ([]byte, [32]byte, manifest, error) {
	v, err := object(raw)
	if err != nil {
		return nil, [32]byte{}, manifest{}, err
	}
	if v["pre_launch_script"] == "" {
		delete(v, "pre_launch_script")
	}
	for _, added := range []map[string]any{additions(), more} {
		for field, value := range added {
			if _, there := v[field]; !there {
				v[field] = value
			}
		}
	}
	var m manifest
	text, err := deterministic(v)
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err == nil {
		err = m.check()
	}
	return text, sha256.Sum256(text), m, err
}

func object(raw json.RawMessage) (map[string]any, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v map[string]any
	err := dec.Decode(&v)
	if err == nil && v == nil {
		err = errors.New("not an object")
	}
	return v, err
}

// deterministic is dstack's form of app-compose.json: keys sorted, no white
// space, nothing escaped that need not be (get_compose_hash of dstack's SDKs).
func deterministic(v map[string]any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(out.Bytes(), []byte("\n")), err
}

// leaves finds a script that ends the shell which sources it: dstack's start of
// the containers would end with it.
var leaves = regexp.MustCompile(`(?m)^\s*(exit|exec)\b`)

// prelaunch is what becomes of the pre-launch script.
func (a application) prelaunch() error {
	if leaves.MatchString(a.preLaunchScript) {
		return errors.New("the pre-launch script ended the shell that starts the containers")
	}
	return nil
}
