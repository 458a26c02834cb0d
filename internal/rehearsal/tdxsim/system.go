package tdxsim

import (
	"crypto/sha256"
	"errors"
)

// System is what dstack knows before it runs an application.
type System struct{ AppID, ComposeHash, InstanceID, OSImageHash, KeyProvider []byte }

// Start measures into RTMR3 what dstack 0.5 does before it runs an application:
// ten events (measure_app_info, request_app_keys, verify_app and setup_fs of
// dstack-util), and mr-kms twice: the first key management service proved
// itself and gave no key, the second did.
func (l *EventLog) Start(s System) error {
	silent, giving := sha256.Sum256([]byte("the first service")), sha256.Sum256([]byte("the second service"))
	var errs []error
	for _, e := range []struct {
		name    string
		payload []byte
	}{
		{"system-preparing", nil},
		{"app-id", s.AppID},
		{"compose-hash", s.ComposeHash},
		{"instance-id", s.InstanceID},
		{"boot-mr-done", nil},
		{"mr-kms", silent[:]},
		{"mr-kms", giving[:]},
		{"os-image-hash", s.OSImageHash},
		{"key-provider", s.KeyProvider},
		{"storage-fs", []byte("zfs")},
		{"system-ready", nil},
	} {
		errs = append(errs, l.Emit(e.name, e.payload))
	}
	return errors.Join(errs...)
}
