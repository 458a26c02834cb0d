// Package measurement is the contract of published-mrtds.json: what a release
// of either family says about the registers its machines show, who owns each
// register, and what proves it.
//
// Its promise: a file that Decode accepts is canonical and complete (three
// profiles, no zero register, every value that can be recomputed was
// recomputed), and the same inputs predict the same bytes on any machine.
package measurement

import (
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tcb"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/digest"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// SchemaVersion is the only version of published-mrtds.json and of the platform file that exists.
const SchemaVersion = "1"

// Published is published-mrtds.json. Its profiles are written in the spec's
// order, which is also the alphabetical order that encoding/json gives a map.
type Published struct {
	SchemaVersion string                      `json:"schema_version"`
	Family        release.Family              `json:"family"`
	Tag           release.Tag                 `json:"tag"`
	Commit        string                      `json:"commit"` // 40 hex digits
	Profiles      map[release.Profile]Profile `json:"profiles"`
	HostTCB       *tcb.List                   `json:"host_tcb,omitempty"` // KMS only: of the machine under the key service
}

// Profile is what machines of one profile show.
type Profile struct {
	MRTD     tdx.Register  `json:"mrtd"`
	RTMR0    tdx.Register  `json:"rtmr0"`
	RTMR1    tdx.Register  `json:"rtmr1"`
	RTMR2    tdx.Register  `json:"rtmr2"`
	RTMR3    *tdx.Register `json:"rtmr3,omitempty"` // nil when its owner is the instance
	Owners   Owners        `json:"owners"`
	Image    Image         `json:"image"`
	Events   []Event       `json:"events,omitempty"` // KMS only: the RTMR3 chain up to system-ready
	Evidence Evidence      `json:"evidence"`
}

// Image names what was measured.
type Image struct {
	// node: image name with content id; KMS: container reference with tag
	Name        string        `json:"name"`
	Digest      digest.Digest `json:"digest,omitzero"`       // KMS: of the image manifest; node: of the disk image
	ComposeHash digest.Digest `json:"compose_hash,omitzero"` // KMS only
	// KMS only: the provider's operating system image, by name and hash. A deployment names it.
	OSImage     string        `json:"os_image,omitempty"`
	OSImageHash digest.Digest `json:"os_image_hash,omitzero"`
}

// Evidence is what the values rest on: for a node the artifacts of the boots
// that agreed, for the KMS the public source of the platform's registers.
type Evidence struct {
	Source     string        `json:"source,omitempty"`
	Quote      digest.Digest `json:"quote,omitzero"`
	EventLog   digest.Digest `json:"event_log,omitzero"`
	Collateral digest.Digest `json:"collateral,omitzero"`
	Boots      int           `json:"boots,omitempty"` // number of boots that agreed
}

// Encode checks p and renders it canonically.
func (p *Published) Encode() ([]byte, error) {
	if err := p.Check(); err != nil {
		return nil, err
	}
	return canonical.Marshal(p)
}

// Decode reads published-mrtds.json and checks it. Bytes that are not the
// canonical form of what they say are refused. Errors carry code 10.
func Decode(data []byte) (*Published, error) {
	var p Published
	if err := canonical.UnmarshalExact(data, &p); err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: release.MeasurementsAsset, Err: err}
	}
	if err := p.Check(); err != nil {
		return nil, err
	}
	return &p, nil
}

// Reference is how the image is asked for: the container's repository by digest, the node image by name.
func (i Image) Reference(f release.Family) (string, error) {
	if f == release.Node {
		return i.Name, nil
	}
	at := strings.LastIndex(i.Name, ":")
	if at < 0 || strings.Contains(i.Name[at:], "/") {
		return "", fmt.Errorf("image %q is not named repository:tag", i.Name)
	}
	return i.Name[:at] + "@" + i.Digest.String(), nil
}

// Images are the digests of the release's images, by their names.
func (p *Published) Images() map[string]digest.Digest {
	out := map[string]digest.Digest{}
	for _, profile := range p.Profiles {
		out[profile.Image.Name] = profile.Image.Digest
	}
	return out
}

// Rehashed is the profile of a key service whose compose file became another:
// the events that follow from its hash change, and nothing else.
func (p Profile) Rehashed(composeHash digest.Digest) Profile {
	p.Image.ComposeHash = composeHash
	p.Events = PredictEvents(composeHash, p.Image.OSImageHash)
	return p
}

// Registers are the published values; RTMR3 is zero when its owner is the instance.
func (p Profile) Registers() tdx.Registers {
	r := tdx.Registers{MRTD: p.MRTD, RTMR0: p.RTMR0, RTMR1: p.RTMR1, RTMR2: p.RTMR2}
	if p.RTMR3 != nil {
		r.RTMR3 = *p.RTMR3
	}
	return r
}

// Compare lists every register in which an observed machine differs from what
// was published. An RTMR3 that belongs to the instance is not compared: its
// event log is replayed instead.
func (p Profile) Compare(observed tdx.Registers) []tdx.Difference {
	if p.RTMR3 == nil {
		observed.RTMR3 = tdx.Register{}
	}
	return p.Registers().Compare(observed)
}

// Equal compares everything but the events, which only key services have.
func (p Profile) Equal(o Profile) bool {
	return p.Registers() == o.Registers() && p.Owners == o.Owners && p.Image == o.Image && p.Evidence == o.Evidence
}

// Owner says who decides a value, and so who can change it without us.
type Owner string

// The four owners.
const (
	OwnerPlatform Owner = "platform" // the cloud's firmware, VM shape or OS: moves without a release of ours
	OwnerImage    Owner = "image"    // what this release built
	OwnerProfile  Owner = "profile"  // the profile's formula
	OwnerInstance Owner = "instance" // one machine: never published, never compared
)

// Owners names the owner of each register.
type Owners struct {
	MRTD  Owner `json:"mrtd"`
	RTMR0 Owner `json:"rtmr0"`
	RTMR1 Owner `json:"rtmr1"`
	RTMR2 Owner `json:"rtmr2"`
	RTMR3 Owner `json:"rtmr3"`
}

// OwnersOf is who owns the registers of a family's machines. On dstack the
// operating system is the platform's, and RTMR3 holds an instance id; on GCP
// the kernel, initrd and command line are the image's, and RTMR3 is a formula.
func OwnersOf(f release.Family) Owners {
	if f == release.KMS {
		return Owners{OwnerPlatform, OwnerPlatform, OwnerPlatform, OwnerPlatform, OwnerInstance}
	}
	return Owners{OwnerPlatform, OwnerPlatform, OwnerImage, OwnerImage, OwnerProfile}
}

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
	OSImageHashEvent = "os-image-hash"
	KeyProviderEvent = "key-provider"
	SystemReadyEvent = "system-ready"
)

// PredictEvents is the chain that follows from a compose hash and an OS image. The app id does
// not: the provider gives each deployment another, which stays when the
// application is updated in place.
func PredictEvents(composeHash, osImageHash digest.Digest) []Event {
	return []Event{
		{Name: AppIDEvent, Owner: OwnerPlatform},
		{Name: ComposeHashEvent, Owner: OwnerImage, Payload: composeHash[:]},
		{Name: InstanceIDEvent, Owner: OwnerInstance},
		{Name: OSImageHashEvent, Owner: OwnerPlatform, Payload: osImageHash[:]},
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
