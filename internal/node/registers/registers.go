// Package registers explains what moved between two node releases: which
// register, by which event of the boot, and which package, file or parameter of
// the image is behind it.
//
// Its promise: it reads what the releases publish and shows every difference;
// a register that moved is never shown without the events that moved it.
package registers

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Side is one of the two releases: what its folder of assets says of each
// profile. A profile that was not measured yet is absent.
type Side struct {
	Name     string
	Profiles map[release.Profile]Profile
}

// Profile is one image and how it boots.
type Profile struct {
	Registers tdx.Registers // of the first boot's quote
	Events    []tdx.Event   // its event log
	Record    *image.Record
}

// Read reads a folder of assets, staged or downloaded. Whoever verified them is the caller.
func Read(name, dir string) (*Side, error) {
	out := &Side{Name: name, Profiles: map[release.Profile]Profile{}}
	for _, p := range release.Profiles() {
		profile, err := read(dir, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out.Profiles[p] = *profile
	}
	if len(out.Profiles) == 0 {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: name + " holds no measured image", Expected: release.EvidenceAsset(release.Debug) + " and the like", Got: "none in " + dir,
			Hint: "run `go tool mage node:measure`, or name a release of the node images"}
	}
	return out, nil
}

func read(dir string, p release.Profile) (*Profile, error) {
	data, err := os.ReadFile(filepath.Join(dir, release.EvidenceAsset(p)))
	if err != nil {
		return nil, err
	}
	evidence, err := evidence.DecodeEvidence(data)
	if err != nil {
		return nil, err
	}
	out := &Profile{}
	quote, err := tdx.ParseQuote(evidence.Boots[0].Quote)
	if err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the quote of " + string(p), Err: err}
	}
	out.Registers = quote.Registers
	if out.Events, err = evidence.Events(); err != nil {
		return nil, err
	}
	if data, err = os.ReadFile(filepath.Join(dir, release.RecordAsset(p))); err != nil {
		return nil, err
	}
	out.Record, err = image.Decode(data)
	return out, err
}
