package measurement

import (
	"encoding/hex"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/base/digest"
)

// Event is one entry of the chain that dstack extends into RTMR3 during boot.
// Without a payload the value is not ours to predict.
type Event struct {
	Name    string `json:"name"`
	Owner   Owner  `json:"owner"`
	Payload Hex    `json:"payload,omitzero"` // nil: unknown before boot; empty: known to be empty
}

// Names of the events up to the moment the system is ready. A platform may put
// events of its own between them; the ones named here come once and in this order.
const (
	AppIDEvent       = "app-id"
	ComposeHashEvent = "compose-hash"
	InstanceIDEvent  = "instance-id"
	KeyProviderEvent = "key-provider"
	SystemReadyEvent = "system-ready"
)

// appIDSize is the length in bytes of a dstack app id: "determined by the
// SHA256 digest of the app-compose.json (truncated to the first 20 bytes)".
const appIDSize = 20

// PredictEvents is the chain of an app whose id was not assigned before its first boot.
func PredictEvents(composeHash digest.Digest) []Event {
	return []Event{
		{Name: AppIDEvent, Owner: OwnerImage, Payload: composeHash[:appIDSize]},
		{Name: ComposeHashEvent, Owner: OwnerImage, Payload: composeHash[:]},
		{Name: InstanceIDEvent, Owner: OwnerInstance},
		{Name: KeyProviderEvent, Owner: OwnerPlatform},
		{Name: SystemReadyEvent, Owner: OwnerPlatform, Payload: Hex{}},
	}
}

// maxPayload bounds an event's payload in bytes.
const maxPayload = 4096

// Hex is a payload; in JSON it is lower-case hex.
type Hex []byte

// MarshalText writes lower-case hex.
func (h Hex) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

// UnmarshalText reads hex into a value that is never nil.
func (h *Hex) UnmarshalText(b []byte) error {
	if len(b) > 2*maxPayload {
		return fmt.Errorf("event payload of %d bytes, more than the %d allowed", len(b)/2, maxPayload)
	}
	out := make(Hex, hex.DecodedLen(len(b)))
	if _, err := hex.Decode(out, b); err != nil {
		return fmt.Errorf("event payload: %w", err)
	}
	*h = out
	return nil
}
