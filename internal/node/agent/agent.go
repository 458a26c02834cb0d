// Package agent is the node's side of a key release: it measures the profile,
// makes quotes, verifies the key service, and asks for the node's key.
//
// Its promise: it extends RTMR3 at most once, it calls a key service verified
// only when a fresh quote says what was expected of it, it takes a key only from
// the service that proved itself and sealed to this TD, and what it proves about
// itself comes from the TD it runs in. Only the configfs client differs
// between hardware and a simulated TD.
package agent

import (
	"crypto/ed25519"
	"crypto/sha512"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-configfs-tsm/configfs/configfsi"
	"github.com/google/go-configfs-tsm/report"
	"github.com/google/go-configfs-tsm/rtmr"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Agent is one node. All fields are required, except Profile where ExtendProfile is not called.
type Agent struct {
	TSM     configfsi.Client
	HTTP    *http.Client
	Profile release.Profile
	Key     ed25519.PrivateKey // the node's libp2p identity
}

// PeerID is the peer ID of the node's key.
func (a *Agent) PeerID() wire.PeerID { return wire.PeerIDOf(a.public()) }

func (a *Agent) public() ed25519.PublicKey { return a.Key.Public().(ed25519.PublicKey) }

// profileRegister is the RTMR that only the image's own event is measured into.
const profileRegister = 3

// ExtendProfile measures the profile into RTMR3, once in the life of a TD. A
// register that was extended before, by whomever, is an error of code Verification.
func (a *Agent) ExtendProfile() error {
	before, err := a.readProfileRegister()
	if err != nil {
		return err
	}
	if !before.IsZero() {
		return fault.Mismatch("RTMR3 was extended before", tdx.Register{}.String(), before.String())
	}
	digest := sha512.Sum384(tdx.ProfileEvent(string(a.Profile)))
	if err := rtmr.ExtendDigest(a.TSM, profileRegister, digest[:]); err != nil {
		return fmt.Errorf("extend RTMR3: %w", err)
	}
	return a.CheckProfile()
}

// CheckProfile says whether RTMR3 is what ExtendProfile makes of it.
func (a *Agent) CheckProfile() error {
	got, err := a.readProfileRegister()
	if err != nil {
		return err
	}
	if want := tdx.ProfileRTMR3(string(a.Profile)); got != want {
		return fault.Mismatch("RTMR3 is not the profile's after the extension", want.String(), got.String())
	}
	return nil
}

func (a *Agent) readProfileRegister() (tdx.Register, error) {
	r, err := rtmr.GetDigest(a.TSM, profileRegister)
	if err != nil {
		return tdx.Register{}, fmt.Errorf("read RTMR3: %w", err)
	}
	if len(r.Digest) != tdx.RegisterSize {
		return tdx.Register{}, fmt.Errorf("read RTMR3: %d bytes, not %d", len(r.Digest), tdx.RegisterSize)
	}
	return tdx.Register(r.Digest), nil
}

// Quote makes a TDX quote of this TD over 64 bytes of report data.
func (a *Agent) Quote(reportData [64]byte) ([]byte, error) {
	r, err := report.Get(a.TSM, &report.Request{InBlob: reportData[:]})
	if err != nil {
		return nil, fmt.Errorf("quote: %w", err)
	}
	if provider := strings.TrimSpace(r.Provider); provider != "tdx_guest" {
		return nil, fmt.Errorf("quote: the provider is %q, not tdx_guest", provider)
	}
	if len(r.OutBlob) == 0 {
		return nil, errors.New("quote: the provider returned nothing")
	}
	return r.OutBlob, nil
}
