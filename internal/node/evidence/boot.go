// Package evidence keeps what the boots of a node image proved: verified reports,
// whether they agree, and the evidence file with which anybody can verify them
// again.
//
// Its promise: an Observation exists only for a report that passed agent's
// Verify; registers are published only when two boots and a reboot agree on
// them and are what the image's record predicts; and a register that does not
// agree is named with the events that moved it.
package evidence

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/node/image"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Observation is one boot, verified.
type Observation struct {
	Report  *agent.Report
	Verdict *tdx.Verdict
	Events  []tdx.Event // of all registers, replayed
	Reboot  bool        // of a machine that had booted before
}

// Observe verifies the report of a node of the profile over the nonce that it was sent.
func Observe(ctx context.Context, v *tdx.Verifier, profile release.Profile, nonce [32]byte,
	r *agent.Report) (*Observation, error) {
	verdict, err := r.Verify(ctx, v, profile, nonce)
	if err != nil {
		return nil, err
	}
	events, err := tdx.ParseCCEL(r.EventLog)
	return &Observation{Report: r, Verdict: verdict, Events: events}, err
}

// Agree compares boots of one image on one kind of machine: the registers of
// all must be the same. One that differs is named together with the events that
// moved it, since a register that changes from boot to boot identifies nothing
// until somebody has explained it.
func Agree(boots []*Observation) error {
	for _, again := range boots[1:] {
		moved := boots[0].Verdict.Registers.Compare(again.Verdict.Registers)
		if len(moved) == 0 {
			continue
		}
		d := moved[0]
		message := d.Name + " differs between two boots of one image"
		if again.Reboot {
			message = d.Name + " differs between a boot of the image and the reboot of a machine"
		}
		err := fault.Mismatch(message, d.Want.String(), d.Got.String())
		err.Hint = "explain it before anything is published: " +
			strings.Join(Moved(boots[0].Events, again.Events, d.Name), "; ")
		return err
	}
	return nil
}

// BootOf says whether the boot was one of the recorded image and of nothing
// besides: the events of RTMR1 and RTMR2 are exactly those that the record
// predicts, and none of RTMR0 is the word of whoever ran the machine. RTMR3 was
// judged when the report was verified.
func (o *Observation) BootOf(r *image.Record) error {
	if err := r.Boot.Judge(o.Events); err != nil {
		return fmt.Errorf("not the boot that the image's record predicts: %w", err)
	}
	if said := tdx.FromHost(o.Events); len(said) > 0 {
		err := fault.Mismatch("RTMR0 measures what boots may read from the host",
			"no variable of systemd's or of its boot stub, no command line in a boot option", strings.Join(said, "; "))
		err.Hint = "who runs the machine put it into the variable store: find out why, and measure on another host"
		return err
	}
	return nil
}

// Platform words the events of RTMR0, which are the host's and its firmware's to decide.
func (o *Observation) Platform() []string {
	var out []string
	for _, e := range o.Events {
		if e.RTMR == 0 && e.Type != tdx.NoActionEvent {
			out = append(out, e.Describe().String())
		}
	}
	return out
}

// Moved names the events of a register ("rtmr0" to "rtmr2") in which two logs differ.
func Moved(before, after []tdx.Event, register string) []string {
	return predictedMoved(before, after, register, nil)
}

// predictedMoved is Moved in the words of records, which know by their digests what events are.
func predictedMoved(before, after []tdx.Event, register string, words map[tdx.Register]string) []string {
	rtmr := -1
	if _, err := fmt.Sscanf(register, "rtmr%d", &rtmr); err != nil {
		return []string{register + " is the firmware itself: no event tells of it"}
	}
	var out []string
	describe := func(e *tdx.Event) string {
		if known, ok := words[e.Digest]; ok {
			return fmt.Sprintf("%s, digest %.16s…", known, e.Digest)
		}
		return describe(*e)
	}
	for _, m := range tdx.Moves(before, after, rtmr) {
		line := ""
		switch {
		case m.Before == nil:
			line = "new event: " + describe(m.After)
		case m.After == nil:
			line = "missing event: " + describe(m.Before)
		default:
			line = change(describe(m.Before), describe(m.After))
		}
		out = append(out, fmt.Sprintf("%.*s", maxDescription, line))
	}
	return out
}

const maxDescription = 400 // characters of an event that are shown

// describe is the event as a person knows it: its words, and its digest when they are not what was measured.
func describe(e tdx.Event) string {
	d := e.Describe()
	text, proven := e.Text()
	switch {
	case d.Kind == tdx.KindText && proven && !strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }):
		return text // whole: of two command lines what differs may stand far behind
	case d.Measured:
		return d.String()
	}
	return fmt.Sprintf("%s, digest %.16s…", d, e.Digest)
}

// change shows two texts; of a command line only the parameters that differ.
func change(before, after string) string {
	head, rest, ok := strings.Cut(before, ": ")
	other, now, also := strings.Cut(after, ": ")
	if !ok || !also || head != other || !strings.Contains(rest, "=") {
		return fmt.Sprintf("%s, was %s", after, before)
	}
	old := strings.Fields(rest)
	is := strings.Fields(now)
	return fmt.Sprintf("%s: %s, was %s", head, strings.Join(without(is, old), " "), strings.Join(without(old, is), " "))
}

func without(list, remove []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(remove, s) })
}
