package companion

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

// configFile lies in home/node.
const configFile = "config.toml"

// settings are what this stand-in knows of config.toml.
type settings struct {
	Identity struct {
		Keypair string `toml:"keypair"` // made up: nothing is signed with it
	} `toml:"identity"`
	Swarm     listener  `toml:"swarm"`
	Server    listener  `toml:"server"`
	Datastore datastore `toml:"datastore"`
	TEE       *tee      `toml:"tee"`
}

type listener struct {
	Listen []string `toml:"listen"`
}

type datastore struct {
	Path string `toml:"path"`
}

type tee struct {
	KMS struct {
		Phala *struct {
			URL         string         `toml:"url"`
			Attestation map[string]any `toml:"attestation"`
		} `toml:"phala"`
	} `toml:"kms"`
}

func (m merod) file() string { return filepath.Join(m.folder, configFile) }

func (m merod) initialised() bool {
	info, err := os.Stat(m.file())
	return err == nil && info.Mode().IsRegular()
}

// load refuses what merod does not start with.
func (m merod) load() (*settings, error) {
	if !m.initialised() {
		return nil, fmt.Errorf("Node is not initialized in %q", m.folder) //nolint:staticcheck // merod's own words
	}
	text, err := os.ReadFile(m.file())
	if err != nil {
		return nil, err
	}
	return parseSettings(string(text))
}

func parseSettings(text string) (*settings, error) {
	s := &settings{}
	if _, err := toml.Decode(text, s); err != nil {
		return nil, err
	}
	if s.Identity.Keypair == "" || len(s.Server.Listen) == 0 || s.Datastore.Path == "" {
		return nil, errors.New("missing field in config.toml")
	}
	return s, s.check()
}

// check is merod's validation of a key service's section.
func (s *settings) check() error {
	if s.TEE == nil {
		return nil
	}
	phala := s.TEE.KMS.Phala
	if phala == nil || phala.URL == "" {
		return errors.New("TEE is enabled but no KMS provider is configured")
	}
	if phala.Attestation["enabled"] != true || phala.Attestation["accept_mock"] == true {
		return nil
	}
	for _, name := range []string{"allowed_tcb_statuses", "allowed_mrtd", "allowed_rtmr0", "allowed_rtmr1",
		"allowed_rtmr2", "allowed_rtmr3"} {
		if list, _ := phala.Attestation[name].([]any); len(list) == 0 {
			return fmt.Errorf("tee.kms.phala.attestation.enabled is true, but %s is empty", name)
		}
	}
	return nil
}

// create makes a new home in the place of what was there.
func (m merod) create(s *settings) error {
	if info, err := os.Lstat(m.folder); err == nil && !info.IsDir() {
		return fmt.Errorf("refusing to remove %q: expected a directory", m.folder)
	}
	if m.initialised() { // with --force
		if err := os.RemoveAll(m.folder); err != nil {
			return err
		}
	}
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails
	s.Identity.Keypair = hex.EncodeToString(key)
	if err := os.MkdirAll(filepath.Join(m.folder, s.Datastore.Path), 0o700); err != nil {
		return err
	}
	if err := os.Chmod(m.folder, 0o700); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(s); err != nil {
		return err
	}
	m.say("INFO Initialized a node in %q", m.folder)
	return file.Write(m.file(), b.Bytes(), 0o600)
}

// config sets KEY=VALUE pairs, all or none.
func (m merod) config(pairs []string) error {
	changes := make([]map[string]any, len(pairs))
	for i, pair := range pairs {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || strings.HasPrefix(pair, "-") {
			return refuse("invalid value '%s' for '[ARGS]...': Missing value", pair)
		}
		if _, err := toml.Decode(key+" = "+value, &changes[i]); err != nil {
			return refuse("invalid value '%s' for '[ARGS]...': %v", pair, err)
		}
	}
	text, err := os.ReadFile(m.file())
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("Node is not initialized in %q", m.folder) //nolint:staticcheck // merod's own words
	}
	if err != nil {
		return err
	}
	all := map[string]any{}
	if _, err := toml.Decode(string(text), &all); err != nil {
		return err
	}
	for _, change := range changes {
		if err := merge(all, change); err != nil {
			return err
		}
	}
	var b bytes.Buffer
	if err := toml.NewEncoder(&b).Encode(all); err != nil {
		return err
	}
	if _, err := parseSettings(b.String()); err != nil {
		return err
	}
	m.say("INFO Node configuration has been updated")
	return file.Write(m.file(), b.Bytes(), 0o600)
}

// merge sets the values of a table that has one value, tables deep.
func merge(to, from map[string]any) error {
	for key, value := range from {
		inner, deeper := value.(map[string]any)
		if !deeper {
			to[key] = value
			continue
		}
		if _, there := to[key]; !there {
			to[key] = map[string]any{}
		}
		table, ok := to[key].(map[string]any)
		if !ok {
			return fmt.Errorf("cannot set: '%s' is not a table", key)
		}
		if err := merge(table, inner); err != nil {
			return err
		}
	}
	return nil
}
