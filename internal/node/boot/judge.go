package boot

import (
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/measuredboot"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/check"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/boot/machine"
)

// Event is one measurement that a boot made, beside the one that was predicted.
type Event struct {
	PCR       int          `json:"pcr"`
	Words     string       `json:"words"`
	Predicted bool         `json:"predicted"`
	Digest    tdx.Register `json:"digest"`
}

// group are the PCRs whose measurements go into one register of a TD.
type group struct {
	name        string
	first, last int
	events      []measuredboot.Event
}

// groups are what a disk's boot measures, as a TPM sees it. Firmware separates
// each PCR from what follows, where a TD has one separator for each register; the
// kernel's own measurements are made for a TPM. Source: UEFI 2.10, 38.4.1.
func groups(b *measuredboot.Boot) [2]group {
	one := group{"PCR 2 to 6", 2, 6, nil}
	for _, e := range b.RTMR1 {
		for range separators(e, one) {
			one.events = append(one.events, e)
		}
	}
	return [2]group{one, {"PCR 8 to 15", 8, 15, slices.Concat(b.RTMR2, b.KernelEvents)}}
}

func separators(e measuredboot.Event, g group) int {
	if e.Type == "EV_SEPARATOR" {
		return g.last - g.first + 1
	}
	return 1
}

func (g group) of(measured []machine.Measurement) (out []machine.Measurement) {
	for _, m := range measured {
		if m.PCR >= g.first && m.PCR <= g.last {
			out = append(out, m)
		}
	}
	return out
}

// difference is the first place at which measurements are other than predicted.
func (g group) difference(measured []machine.Measurement) error {
	got := g.of(measured)
	for i := range max(len(got), len(g.events)) {
		switch {
		case i >= len(got):
			return fault.Mismatch(fmt.Sprintf("event %d of %s is missing", i+1, g.name), said(g.events[i]),
				fmt.Sprintf("%d events", len(got)))
		case i >= len(g.events):
			return fault.Mismatch(fmt.Sprintf("event %d of %s was not predicted", i+1, g.name),
				fmt.Sprintf("%d events", len(g.events)), fmt.Sprintf("PCR %d: %s", got[i].PCR, got[i].Digest))
		case got[i].Digest != g.events[i].Digest:
			return fault.Mismatch(fmt.Sprintf("event %d of %s is another", i+1, g.name), said(g.events[i]),
				fmt.Sprintf("PCR %d: %s", got[i].PCR, got[i].Digest))
		}
	}
	return nil
}

func said(e measuredboot.Event) string { return fmt.Sprintf("%s: %s", e.Words, e.Digest) }

// moved is nil when what was measured is what the disk makes.
func moved(b *measuredboot.Boot, measured []machine.Measurement) error {
	for _, g := range groups(b) {
		if err := g.difference(measured); err != nil {
			return err
		}
	}
	return nil
}

// predicted judges a boot's measurements, each group as a check of its own.
func predicted(name string, b *measuredboot.Boot, measured []machine.Measurement) (out check.Results) {
	for _, g := range groups(b) {
		r := check.Of(name+": "+g.name, g.difference(measured))
		if r.Status == check.Passed {
			r = r.Noting(fmt.Sprintf("%d events, each as predicted from the disk", len(g.events)))
		}
		out = append(out, r)
	}
	return out
}

// explain puts the prediction's words to what was measured.
func explain(b *measuredboot.Boot, measured []machine.Measurement) []Event {
	known := map[tdx.Register]string{}
	for _, e := range slices.Concat(b.RTMR1, b.RTMR2, b.KernelEvents) {
		known[e.Digest] = e.Words
	}
	out := make([]Event, 0, len(measured))
	for _, m := range measured {
		text, ok := known[m.Digest]
		if platform := m.PCR < 2 || m.PCR == 7; platform {
			ok = false
			if text == "" {
				text = "the platform's own"
			}
		}
		out = append(out, Event{PCR: m.PCR, Words: text, Predicted: ok, Digest: m.Digest})
	}
	return out
}

// must is a check of one statement.
func must(name string, ok bool, expected, got string) check.Result {
	if ok {
		return check.Pass(name).Noting(got)
	}
	return check.Fail(name, fault.Verification, "", expected, got)
}

// shells are what a way in prints on a console.
func shells() []string {
	return []string{"login:", "sh-5", "bash-5", "root@", "(initramfs)", "Press Enter for maintenance", "emergency mode",
		"emergency shell", "dracut:/#"}
}

// shell finds a way in in what a console printed.
func shell(said string) string {
	for _, s := range shells() {
		if strings.Contains(said, s) {
			return s
		}
	}
	return ""
}
