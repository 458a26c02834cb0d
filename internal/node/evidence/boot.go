// Package evidence keeps what the boots of a node image proved: verified reports,
// whether they agree, and the evidence file with which anybody can verify them
// again.
//
// Its promise: an Observation exists only for a report that passed agent's
// Verify; registers are published only when at least two boots agree on them;
// and a register that does not agree is named with the events that moved it.
package evidence

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/node/agent"
	"github.com/calimero-network/mero-tee/internal/release"
)

// Observation is one boot, verified.
type Observation struct {
	Report  *agent.Report
	Verdict *tdx.Verdict
	Events  []tdx.Event // of all registers, replayed
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
		for _, d := range boots[0].Verdict.Registers.Compare(again.Verdict.Registers) {
			err := fault.Mismatch(d.Name+" differs between two boots of one image", d.Want.String(), d.Got.String())
			err.Hint = "explain it before anything is published: " +
				strings.Join(Moved(boots[0].Events, again.Events, d.Name), "; ")
			return err
		}
	}
	return nil
}

// Moved names the events of a register ("rtmr0" to "rtmr2") in which two logs differ.
func Moved(before, after []tdx.Event, register string) []string {
	rtmr := -1
	if _, err := fmt.Sscanf(register, "rtmr%d", &rtmr); err != nil {
		return []string{register + " is the firmware itself: no event tells of it"}
	}
	a, b := of(before, rtmr), of(after, rtmr)
	var out []string
	for i := range max(len(a), len(b)) {
		switch {
		case i >= len(a):
			out = append(out, "new event: "+describe(b[i]))
		case i >= len(b):
			out = append(out, "missing event: "+describe(a[i]))
		case a[i].Digest != b[i].Digest:
			out = append(out, change(describe(a[i]), describe(b[i])))
		}
	}
	return out
}

func of(events []tdx.Event, rtmr int) []tdx.Event {
	var out []tdx.Event
	for _, e := range events {
		if e.RTMR == rtmr && e.Type != tdx.NoActionEvent {
			out = append(out, e)
		}
	}
	return out
}

const maxDescription = 400 // characters of an event that are shown

// describe is the event as a person knows it: its text, when that is what was
// measured, else its digest.
func describe(e tdx.Event) string {
	text, proven := e.Text()
	if !proven || text == "" || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		return fmt.Sprintf("event type %#x, digest %.16s…", e.Type, e.Digest)
	}
	return fmt.Sprintf("%.*s", maxDescription, text)
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
