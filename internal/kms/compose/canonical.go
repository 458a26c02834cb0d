// Package compose turns docker-compose.yaml into the one form that is hashed,
// and that into dstack's app-compose.json.
//
// Its promise: the compose hash depends on the file and the variables handed
// in, and on nothing else (no folder, environment, umask or time zone);
// whatever could bring in something unhashed is refused; and the bytes are in
// dstack's own normalized form, so that the platform arrives at the same hash.
package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"
	"go.yaml.in/yaml/v3"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

// maxFile bounds a compose file in bytes; dstack allows 128 KiB for all of app-compose.json.
const maxFile = 64 << 10

// Canonical returns the canonical form of a compose file with its variables
// filled in: JSON (so also YAML), keys sorted, every short form written out,
// one line. Each variable of the file must be in variables and the other way
// round. What cannot be vouched for by a hash is an error with code 2.
func Canonical(ctx context.Context, file []byte, variables map[string]string) ([]byte, error) {
	out, err := canonicalize(ctx, file, variables)
	if err != nil {
		return nil, &fault.Error{Code: fault.Usage, Message: "docker-compose.yaml", Err: err}
	}
	return out, nil
}

func canonicalize(ctx context.Context, file []byte, variables map[string]string) ([]byte, error) {
	raw, err := parse(file)
	if err != nil {
		return nil, err
	}
	if err := admit(raw); err != nil {
		return nil, err
	}
	out, err := form(ctx, file, variables)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if !measured(ctx, file, variables, name, out) {
			return nil, fmt.Errorf("variable %s is set, but the file does not use it", name)
		}
	}
	return out, settled(out)
}

// form is the canonical form of a file that was admitted.
func form(ctx context.Context, file []byte, variables map[string]string) ([]byte, error) {
	model, err := load(ctx, file, variables, checked)
	if err != nil {
		return nil, err
	}
	if err := judge(model); err != nil {
		return nil, err
	}
	return hashed(model)
}

// hashed renders what is hashed of a model: all but the x- fields, which only hold anchors.
func hashed(model map[string]any) ([]byte, error) {
	maps.DeleteFunc(model, func(field string, _ any) bool { return strings.HasPrefix(field, "x-") })
	return normalized(model)
}

// measured says whether the canonical form depends on the value of a variable. That its name stands in the file says
// less: in an x- field, or in a list that another overrides, nobody reads it.
func measured(ctx context.Context, file []byte, variables map[string]string, name string, is []byte) bool {
	with := func(value string) ([]byte, error) {
		other := maps.Clone(variables)
		other[name] = value
		model, err := load(ctx, file, other, unchecked)
		if err != nil {
			return nil, err
		}
		return hashed(model)
	}
	other, err := with(variables[name] + "x") // in the place of a number an error, which it is not where nobody reads it
	if err != nil || !bytes.Equal(other, is) {
		return true
	}
	empty, err := with("") // of ${X:+text} alone
	return err == nil && !bytes.Equal(empty, is)
}

// Whether a file is held to compose's schema, which takes most of the time.
const checked, unchecked = true, false

// load lets compose-go validate and write out the short forms. Everything
// that reads the process or the disk is off: normalization adds a network
// named after the folder, path resolution the folder itself.
func load(ctx context.Context, file []byte, variables map[string]string, check bool) (map[string]any, error) {
	return loader.LoadModelWithContext(ctx, types.ConfigDetails{
		WorkingDir:  "/",
		ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yaml", Content: file}},
		Environment: map[string]string{},
	}, func(o *loader.Options) {
		o.SetProjectName("mero", true)
		o.SkipValidation = !check
		o.SkipNormalization, o.SkipExtends, o.SkipInclude, o.ResolvePaths = true, true, true, false
		o.Interpolate.Substitute = func(text string, _ template.Mapping) (string, error) {
			return substitute(text, variables)
		}
	})
}

// substitute fills in variables. One without a value, which compose would
// replace by nothing, is refused where the file names no default; an empty default is one.
func substitute(text string, variables map[string]string) (string, error) {
	const unset = "\x00" // in no value, and in no canonical form
	out, err := template.SubstituteWithOptions(text, func(name string) (string, bool) {
		value, ok := variables[name]
		if !ok {
			value = unset + name + unset // what stands for it only where there is no default
		}
		return value, ok
	}, template.WithoutLogging)
	if _, rest, found := strings.Cut(out, unset); err == nil && found {
		name, _, _ := strings.Cut(rest, unset)
		return "", fmt.Errorf("variable %s is not set", name)
	}
	return out, err
}

// settled refuses text that another reader could take differently: the
// platform's docker compose replaces variables once more, and JSON writers
// disagree on how to escape what is not ASCII.
func settled(out []byte) error {
	if i := bytes.IndexByte(out, '$'); i >= 0 {
		return fmt.Errorf("a dollar sign would be replaced again on the platform: %.40q", out[i:])
	}
	for i, b := range out {
		if b < ' ' || b > '~' {
			return fmt.Errorf("not printable ASCII at byte %d of the canonical form", i)
		}
	}
	return nil
}

// normalized is dstack's form for hashing: sorted keys, no white space, no HTML
// escaping, no newline ("Normalized App Compose" in dstack's documentation).
func normalized(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

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
		if !variableName.MatchString(name) {
			return fmt.Errorf("environment %q is no name: what stands before its = would be the variable", name)
		}
		if values[name] == nil {
			return fmt.Errorf("environment %s has no value: it would come from the host", name)
		}
		if _, ok := values[name].(string); !ok {
			return fmt.Errorf("environment %s is not text: put it in quotes", name)
		}
	}
	return nil
}

var variableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]*$`)

var pinned = regexp.MustCompile(`^[a-z0-9][a-z0-9._:/-]*@sha256:[0-9a-f]{64}$`)

// judge looks at the loaded model: images are named by what they are, and
// nothing comes from the folder the platform happens to start in, or from elsewhere.
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
			if err := judgeVolume(v); err != nil {
				return fmt.Errorf("service %s: %w", name, err)
			}
		}
		options, _ := service["security_opt"].([]any)
		for _, o := range options {
			if text := fmt.Sprint(o); !securityOption.MatchString(text) {
				return fmt.Errorf("service %s: security_opt %q may be a file or a profile outside of what the hash can vouch for",
					name, text)
			}
		}
	}
	return nil
}

// judgeVolume takes paths of the host, memory, and what is empty at first. Images and
// volumes of other drivers have a content that the hash does not cover.
func judgeVolume(v any) error {
	volume, _ := v.(map[string]any)
	source, _ := volume["source"].(string)
	switch kind := volume["type"]; {
	case kind == "bind" && !path.IsAbs(source):
		return fmt.Errorf("volume %q is not a full path", source)
	case kind == "volume" && source != "":
		return fmt.Errorf("volume %q is one that no file defines", source)
	case kind != "bind" && kind != "tmpfs" && kind != "volume":
		return fmt.Errorf("volume %q of type %v is outside what the hash can vouch for", source, kind)
	}
	return nil
}

// securityOption is one that says all by itself.
var securityOption = regexp.MustCompile(`^(?:no-new-privileges(?:[:=](?:true|false))?|label[:=]disable|` +
	`(?:seccomp|apparmor|systempaths)[:=]unconfined)$`)
