package agent

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Mission is what a node is asked to do besides proving itself.
type Mission struct {
	Nonce  [32]byte // the node's quote holds it
	Visits []Visit  // of a test: keys are asked for and compared
	Config []byte   // of an operator: one key is asked for; nil when there is none
	Health bool     // merod is asked through traefik, see Health

	// Identity is the seed of the node's peer key, of a test that boots one node
	// twice; nil: the node makes a key that nobody else knows. Never with Config.
	Identity *[32]byte
}

// Visit leads a node to one key service.
type Visit struct {
	Name   string // in the report; unique in its mission
	Config []byte // client configuration of merod, see package clientconfig
}

// Nodes boots nodes.
type Nodes interface {
	// Boot starts a node from the image of that name in published, waits for its
	// report and deletes the machine, also when ctx ends. The report is as the
	// machine gave it: see Report.Verify. An error that is ErrLeft may come with a report.
	Boot(ctx context.Context, published *measurement.Published, profile release.Profile, m Mission) (*Report, error)
	// Left lists what the cloud still has of the nodes that were booted for the same run.
	Left(ctx context.Context) ([]string, error)
}

// ErrLeft says that a machine was not deleted; it costs money.
var ErrLeft = errors.New("the node's machine is left behind")

// The instance attributes that hold a mission.
const (
	NonceAttribute  = "mero-nonce"
	ConfigAttribute = "mero-client-config"
	VisitsAttribute = "mero-visits"

	IdentityAttribute = "mero-test-identity"
	HealthAttribute   = "mero-ask-health" // "true", or absent
)

// NewNonce is 32 random bytes.
func NewNonce() (nonce [32]byte) {
	_, _ = rand.Read(nonce[:]) // never fails (Go 1.24)
	return nonce
}

// Attributes are the instance attributes that hold the mission.
func (m Mission) Attributes() (map[string]string, error) {
	out := map[string]string{NonceAttribute: hex.EncodeToString(m.Nonce[:])}
	if len(m.Config) > 0 {
		out[ConfigAttribute] = string(m.Config)
	}
	if m.Identity != nil {
		out[IdentityAttribute] = hex.EncodeToString(m.Identity[:])
	}
	if m.Health {
		out[HealthAttribute] = "true"
	}
	if len(m.Visits) == 0 {
		return out, nil
	}
	visits, err := encodeVisits(m.Visits)
	out[VisitsAttribute] = string(visits)
	return out, err
}

// ReadMission asks for each instance attribute of a mission; an absent one is "".
func ReadMission(ctx context.Context,
	attribute func(ctx context.Context, name string) (string, error)) (Mission, error) {
	attributes := map[string]string{}
	for _, name := range []string{NonceAttribute, ConfigAttribute, VisitsAttribute, IdentityAttribute,
		HealthAttribute} {
		var err error
		if attributes[name], err = attribute(ctx, name); err != nil {
			return Mission{}, err
		}
	}
	return ParseMission(attributes)
}

// ParseMission reads instance attributes; an absent one is empty or missing.
// Without a nonce the node chooses one. Errors have code Usage.
func ParseMission(attributes map[string]string) (m Mission, err error) {
	m.Nonce = NewNonce()
	if nonce := attributes[NonceAttribute]; nonce != "" {
		if m.Nonce, err = ParseNonce(nonce); err != nil {
			return Mission{}, err
		}
	}
	if config := attributes[ConfigAttribute]; config != "" {
		m.Config = []byte(config)
	}
	err = errors.Join(m.identify(attributes[IdentityAttribute]), m.askHealth(attributes[HealthAttribute]))
	if err != nil {
		return Mission{}, err
	}
	if visits := attributes[VisitsAttribute]; visits != "" {
		m.Visits, err = decodeVisits([]byte(visits))
	}
	if err != nil {
		return Mission{}, &fault.Error{Code: fault.Usage, Message: "instance attribute " + VisitsAttribute, Err: err}
	}
	return m, nil
}

// identify reads a test's identity. An operator's node has one that only it
// knows: who could choose it would hold the peer's own key.
func (m *Mission) identify(seed string) error {
	if seed == "" {
		return nil
	}
	b, err := hex.DecodeString(seed)
	if err != nil || len(b) != len(m.Identity) || m.Config != nil {
		return &fault.Error{Code: fault.Usage, Message: "instance attribute " + IdentityAttribute,
			Expected: "32 bytes in hex, without " + ConfigAttribute, Got: fmt.Sprintf("%d characters", len(seed))}
	}
	m.Identity = (*[32]byte)(b)
	return nil
}

func (m *Mission) askHealth(asked string) error {
	if asked != "" && asked != "true" {
		return &fault.Error{Code: fault.Usage, Message: "instance attribute " + HealthAttribute, Expected: "true",
			Got: fmt.Sprintf("%.80q", asked)}
	}
	m.Health = asked != ""
	return nil
}

// ParseNonce reads 64 hex digits.
func ParseNonce(s string) (nonce [32]byte, err error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != len(nonce) {
		return nonce, &fault.Error{Code: fault.Usage, Message: "the nonce is malformed", Expected: "32 bytes in hex",
			Got: fmt.Sprintf("%.80q", s)}
	}
	return [32]byte(b), nil
}

const (
	maxVisits     = 64
	maxVisitsSize = 256 << 10 // Compute Engine's bound of a metadata value
	maxName       = 100
)

// visit is a Visit in mero-visits: the configuration is text there.
type visit struct {
	Name   string `json:"name"`
	Config string `json:"config"`
}

func encodeVisits(visits []Visit) ([]byte, error) {
	out := make([]visit, len(visits))
	for i, v := range visits {
		out[i] = visit{v.Name, string(v.Config)}
	}
	data, err := canonical.Marshal(out)
	if err != nil {
		return nil, err
	}
	if _, err := decodeVisits(data); err != nil {
		return nil, err
	}
	return data, nil
}

func decodeVisits(data []byte) ([]Visit, error) {
	if len(data) > maxVisitsSize {
		return nil, fmt.Errorf("%d bytes, more than %d", len(data), maxVisitsSize)
	}
	var read []visit
	if err := canonical.Unmarshal(data, &read); err != nil {
		return nil, err
	}
	if len(read) == 0 || len(read) > maxVisits {
		return nil, fmt.Errorf("%d visits, not 1 to %d", len(read), maxVisits)
	}
	var out []Visit
	names := uniqueNames{ConfigAttribute: true} // the name of the operator's
	for _, v := range read {
		if err := names.add(v.Name); err != nil {
			return nil, err
		}
		out = append(out, Visit{v.Name, []byte(v.Config)})
	}
	return out, nil
}

// uniqueNames are the names of visits, of printable ASCII, each once.
type uniqueNames map[string]bool

func (u uniqueNames) add(name string) error {
	for _, b := range []byte(name) {
		if b < ' ' || b > '~' {
			return fmt.Errorf("visit %.200q: not printable ASCII", name)
		}
	}
	if name == "" || len(name) > maxName {
		return fmt.Errorf("visit %.200q: its name has %d characters, not 1 to %d", name, len(name), maxName)
	}
	if u[name] {
		return fmt.Errorf("visit %q is there twice", name)
	}
	u[name] = true
	return nil
}
