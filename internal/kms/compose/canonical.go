package compose

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/template"
	"github.com/compose-spec/compose-go/v2/types"

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
	if err := agree(raw, variables); err != nil {
		return nil, err
	}
	model, err := load(ctx, file, variables)
	if err != nil {
		return nil, err
	}
	if err := judge(model); err != nil {
		return nil, err
	}
	maps.DeleteFunc(model, func(field string, _ any) bool { return strings.HasPrefix(field, "x-") }) // only hold anchors
	out, err := normalized(model)
	if err != nil {
		return nil, err
	}
	return out, settled(out)
}

// load lets compose-go validate and write out the short forms. Everything
// that reads the process or the disk is off: normalization adds a network
// named after the folder, path resolution the folder itself.
func load(ctx context.Context, file []byte, variables map[string]string) (map[string]any, error) {
	return loader.LoadModelWithContext(ctx, types.ConfigDetails{
		WorkingDir:  "/",
		ConfigFiles: []types.ConfigFile{{Filename: "docker-compose.yaml", Content: file}},
		Environment: maps.Clone(variables), // compose-go adds COMPOSE_PROJECT_NAME to it
	}, func(o *loader.Options) {
		o.SetProjectName("mero", true)
		o.SkipNormalization, o.SkipExtends, o.SkipInclude, o.ResolvePaths = true, true, true, false
	})
}

// agree refuses a variable without a value, which compose would replace by
// nothing, and a value that the file does not use, which would be unmeasured.
func agree(raw map[string]any, variables map[string]string) error {
	used := template.ExtractVariables(raw, template.DefaultPattern)
	for _, name := range slices.Sorted(maps.Keys(used)) {
		if _, ok := variables[name]; !ok && used[name].DefaultValue == "" {
			return fmt.Errorf("variable %s is not set", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if _, ok := used[name]; !ok {
			return fmt.Errorf("variable %s is set, but the file does not use it", name)
		}
	}
	return nil
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
