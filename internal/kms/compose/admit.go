package compose

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parse reads one YAML document; the reader itself refuses a key that stands twice.
func parse(file []byte) (map[string]any, error) {
	if len(file) > maxFile {
		return nil, fmt.Errorf("%d bytes, more than the %d allowed", len(file), maxFile)
	}
	d := yaml.NewDecoder(bytes.NewReader(file))
	var raw map[string]any
	if err := d.Decode(&raw); err != nil {
		return nil, err
	}
	if err := d.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one YAML document")
	}
	return raw, nil
}

// The fields whose whole meaning is in the file. Everything else either is
// unknown to compose or brings in something that the hash does not cover:
// build, env_file, label_file, extends, include, configs, secrets, provider.
var (
	fileFields    = []string{"name", "services"}
	serviceFields = []string{"image", "command", "entrypoint", "environment", "ports", "volumes", "restart", "user",
		"read_only", "tmpfs", "cap_drop", "security_opt"}
)

// admit looks at the file as it was written, before anything is replaced.
func admit(raw map[string]any) error {
	for _, field := range slices.Sorted(maps.Keys(raw)) {
		if !slices.Contains(fileFields, field) && !strings.HasPrefix(field, "x-") {
			return fmt.Errorf("field %q is unknown or outside what the hash can vouch for", field)
		}
	}
	services, ok := raw["services"].(map[string]any)
	if !ok || len(services) == 0 {
		return errors.New("no services")
	}
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service, ok := services[name].(map[string]any)
		if !ok {
			return fmt.Errorf("service %s is not a mapping", name)
		}
		if err := admitService(service); err != nil {
			return fmt.Errorf("service %s: %w", name, err)
		}
	}
	return nil
}

func admitService(service map[string]any) error {
	for _, field := range slices.Sorted(maps.Keys(service)) {
		if !slices.Contains(serviceFields, field) {
			return fmt.Errorf("field %q is unknown or outside what the hash can vouch for", field)
		}
	}
	return admitEnvironment(service["environment"])
}

// admitEnvironment wants a mapping to text, the one spelling: a missing value
// would come from the host, and a number has several forms.
func admitEnvironment(environment any) error {
	if environment == nil {
		return nil
	}
	values, ok := environment.(map[string]any)
	if !ok {
		return errors.New("environment is not a mapping of names to values")
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if values[name] == nil {
			return fmt.Errorf("environment %s has no value: it would come from the host", name)
		}
		if _, ok := values[name].(string); !ok {
			return fmt.Errorf("environment %s is not text: put it in quotes", name)
		}
	}
	return nil
}

var pinned = regexp.MustCompile(`^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$`)

// judge looks at the loaded model: images are named by what they are, and
// nothing is mounted from the folder the platform happens to start in.
func judge(model map[string]any) error {
	services, _ := model["services"].(map[string]any)
	for _, name := range slices.Sorted(maps.Keys(services)) {
		service, _ := services[name].(map[string]any)
		image, _ := service["image"].(string)
		if !pinned.MatchString(image) {
			return fmt.Errorf("service %s: image %q is not pinned by digest", name, image)
		}
		volumes, _ := service["volumes"].([]any)
		for _, v := range volumes {
			volume, _ := v.(map[string]any)
			if source, _ := volume["source"].(string); volume["type"] == "bind" && !path.IsAbs(source) {
				return fmt.Errorf("service %s: volume %q is not a full path", name, source)
			}
		}
	}
	return nil
}
