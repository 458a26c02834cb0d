package evidence

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Release is what a folder of assets says of each profile of a node release. A
// profile that was not measured yet is absent.
type Release struct {
	Name     string
	Profiles map[release.Profile]Measured
}

// Measured is one image and how it boots.
type Measured struct {
	Registers tdx.Registers // of the first boot's quote
	Events    []tdx.Event   // its event log
	Record    *image.Record
	Boots     []Boot
}

// ReadRelease reads a folder of assets, staged or downloaded, which the caller has verified.
func ReadRelease(name, dir string) (*Release, error) {
	out := &Release{Name: name, Profiles: map[release.Profile]Measured{}}
	for _, p := range release.Profiles() {
		measured, err := readMeasured(dir, p)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		out.Profiles[p] = *measured
	}
	if len(out.Profiles) == 0 {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: name + " holds no measured image",
			Expected: release.EvidenceAsset(release.Debug) + " and the like", Got: "none in " + dir,
			Hint: "run `go tool mage node:measure`, or name a release of the node images"}
	}
	return out, nil
}

func readMeasured(dir string, p release.Profile) (*Measured, error) {
	data, err := os.ReadFile(filepath.Join(dir, release.EvidenceAsset(p)))
	if err != nil {
		return nil, err
	}
	boots, err := DecodeEvidence(data)
	if err != nil {
		return nil, err
	}
	out := &Measured{Boots: boots.Boots}
	quote, err := tdx.ParseQuote(boots.Boots[0].Quote)
	if err != nil {
		return nil, &fault.Error{Code: fault.Verification, Message: "the quote of " + string(p) + " cannot be read", Err: err}
	}
	out.Registers = quote.Registers
	if out.Events, err = boots.Events(); err != nil {
		return nil, err
	}
	if data, err = os.ReadFile(filepath.Join(dir, release.RecordAsset(p))); err != nil {
		return nil, err
	}
	out.Record, err = image.Decode(data)
	return out, err
}

// WriteDiff shows, profile by profile, which registers moved from one release to
// the next, by which event of the boot, and which package, file or parameter of
// the image is behind it, and by what way: a file of the root moves its hash,
// which is on the command line in the UKI.
func WriteDiff(w io.Writer, from, to *Release) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s to %s\n", from.Name, to.Name)
	for _, p := range release.Profiles() {
		a, before := from.Profiles[p]
		z, after := to.Profiles[p]
		switch {
		case !before && !after:
			continue
		case !before || !after:
			fmt.Fprintf(&b, "%s: measured in one of the two only\n", p)
			continue
		}
		writeProfile(&b, p, a, z)
	}
	_, err := io.WriteString(w, console.Shown(b.String()))
	return err
}

// Movement is a register that moved, and the events of the boot that moved it.
type Movement struct {
	Register string // "MRTD", "RTMR0"
	Owner    measurement.Owner
	Was, Is  tdx.Register
	Events   []string
}

// Movements are the registers that moved from one measured image to the next.
func Movements(from, to Measured) []Movement {
	owners := measurement.OwnersOf(release.Node)
	of := map[string]measurement.Owner{"mrtd": owners.MRTD, "rtmr0": owners.RTMR0, "rtmr1": owners.RTMR1,
		"rtmr2": owners.RTMR2, "rtmr3": owners.RTMR3}
	words := from.Record.Words()
	maps.Copy(words, to.Record.Words())
	var out []Movement
	for _, d := range from.Registers.Compare(to.Registers) {
		out = append(out, Movement{Register: strings.ToUpper(d.Name), Owner: of[d.Name], Was: d.Want, Is: d.Got,
			Events: predictedMoved(from.Events, to.Events, d.Name, words)})
	}
	return out
}

func writeProfile(b *strings.Builder, p release.Profile, a, z Measured) {
	moved := Movements(a, z)
	if len(moved) == 0 {
		fmt.Fprintf(b, "%s: no register moved\n", p)
	}
	for _, m := range moved {
		fmt.Fprintf(b, "%s: %s moved (owner: %s)\n  was %s\n  is  %s\n", p, m.Register, m.Owner, m.Was, m.Is)
		for _, event := range m.Events {
			fmt.Fprintf(b, "  event  %s\n", event)
		}
	}
	for _, c := range image.Diff(a.Record, z.Record) {
		line := fmt.Sprintf("  %s  %s", c.Kind, c.Moved())
		if reaches := c.Reaches(); reaches != "" {
			line += " (" + reaches + ")"
		}
		b.WriteString(line + "\n")
	}
}
