package measurement

import (
	"fmt"
	"strings"

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
	Name        string        `json:"name"`                  // node: image name with content id; KMS: container reference with tag
	Digest      digest.Digest `json:"digest,omitzero"`       // KMS: of the image manifest; node: of the disk image
	ComposeHash digest.Digest `json:"compose_hash,omitzero"` // KMS only
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

// Rehashed is the profile of a key service whose compose file became another:
// the events that follow from its hash change, and nothing else.
func (p Profile) Rehashed(composeHash digest.Digest) Profile {
	p.Image.ComposeHash = composeHash
	p.Events = PredictEvents(composeHash)
	return p
}
