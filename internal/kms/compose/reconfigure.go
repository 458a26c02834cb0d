package compose

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

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
