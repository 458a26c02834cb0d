package registers

import (
	"fmt"
	"io"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measurement"
	"github.com/calimero-network/mero-tee/internal/node/evidence"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// WriteDiff shows, profile by profile, which registers moved from one side to
// the other and why, and what of the image changed.
func WriteDiff(w io.Writer, from, to *Side) error {
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
	_, err := io.WriteString(w, b.String())
	return err
}

func writeProfile(b *strings.Builder, p release.Profile, a, z Profile) {
	differences := a.Registers.Compare(z.Registers)
	changes := image.Diff(a.Record, z.Record)
	if len(differences) == 0 {
		fmt.Fprintf(b, "%s: no register moved\n", p)
	}
	owners := measurement.OwnersOf(release.Node)
	of := map[string]measurement.Owner{"mrtd": owners.MRTD, "rtmr0": owners.RTMR0, "rtmr1": owners.RTMR1, "rtmr2": owners.RTMR2, "rtmr3": owners.RTMR3}
	for _, d := range differences {
		fmt.Fprintf(b, "%s: %s moved (owner: %s)\n  was %s\n  is  %s\n", p, strings.ToUpper(d.Name), of[d.Name], d.Want, d.Got)
		for _, event := range evidence.Moved(a.Events, z.Events, d.Name) {
			fmt.Fprintf(b, "  event  %s\n", event)
		}
	}
	for _, c := range changes {
		fmt.Fprintf(b, "  %s  %s\n", c.Kind, describe(c))
	}
}

// describe leaves a missing side out.
func describe(c image.Change) string {
	switch {
	case c.Old == "":
		return fmt.Sprintf("%s is new: %s", c.Name, c.New)
	case c.New == "":
		return fmt.Sprintf("%s is gone, was %s", c.Name, c.Old)
	}
	return fmt.Sprintf("%s: %s, was %s", c.Name, c.New, c.Old)
}
