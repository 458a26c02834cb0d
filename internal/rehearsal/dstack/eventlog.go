package dstack

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// system is what this CVM's operating system measures before it runs the application.
func (c *cvm) system(keyProvider string) (tdxsim.System, error) {
	provider, err := json.Marshal(map[string]string{"name": "kms", "id": keyProvider})
	errs := []error{err}
	fromHex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		errs = append(errs, err)
		return b
	}
	s := tdxsim.System{AppID: fromHex(c.id), ComposeHash: c.app.hash[:], InstanceID: fromHex(c.instanceID),
		OSImageHash: fromHex(osImageHash(c.image).Hex()), KeyProvider: provider}
	return s, errors.Join(errs...)
}

// logOptions are how this CVM logs: the application's own app-compose file asks
// for version 2 of runtime events.
func (c *cvm) logOptions() ([]tdxsim.LogOption, error) {
	var file struct {
		Version *uint32 `json:"event_log_version"`
	}
	if err := json.Unmarshal(c.app.compose, &file); err != nil {
		return nil, err
	}
	options := slices.Clone(c.options.EventLog)
	switch {
	case file.Version == nil || *file.Version == 1:
		return options, nil
	case *file.Version == 2:
		return append(options, tdxsim.Version2), nil
	}
	return nil, fmt.Errorf("unknown event log version: %d", *file.Version)
}
