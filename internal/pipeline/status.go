package pipeline

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// State is what the ledger says of one step.
type State struct {
	Step    string     `json:"step"`
	Title   string     `json:"title"`
	State   string     `json:"state"` // "passed", "failed", "interrupted" or "not run"
	Time    *time.Time `json:"time,omitempty"`
	Seconds float64    `json:"seconds,omitempty"`
	Detail  string     `json:"detail,omitempty"`
	Outputs Digests    `json:"outputs,omitempty"`
}

// Status is how far a release got, what comes next, and what may lie about.
type Status struct {
	Steps []State  `json:"steps"`
	Next  []string `json:"next"` // steps that have not passed, and wait for none that has not
	// Left is what began and is not known to have ended: a machine may still be
	// there, and a change may or may not have been made.
	Left []Effect `json:"left_behind"`
}

// Effect is something that a step made outside, or was about to make.
type Effect struct {
	Kind    journal.Kind `json:"kind"`
	Subject string       `json:"subject"`
}

// Status reads the ledger in dir, without locking or changing it, and says how
// far each step of the graph got.
func (g Graph) Status(dir string) (Status, error) {
	records, err := ReadRecords(dir)
	if err != nil {
		return Status{}, err
	}
	out := Status{Steps: make([]State, 0, len(g)), Next: []string{}, Left: []Effect{}}
	passed := map[string]bool{}
	for _, s := range g {
		of := state(s, records)
		out.Steps, passed[s.Name] = append(out.Steps, of), of.State == string(Passed)
	}
	for _, s := range g {
		if waits := slices.ContainsFunc(s.Needs, func(n string) bool { return !passed[n] }); !passed[s.Name] && !waits {
			out.Next = append(out.Next, s.Name)
		}
	}
	for _, kind := range journal.Kinds() {
		for _, subject := range Open(records, kind) {
			out.Left = append(out.Left, Effect{kind, subject})
		}
	}
	return out, nil
}

func state(s Step, records []Record) State {
	st := State{Step: s.Name, Title: s.Title, State: "not run"}
	r, finished := Latest(records, s.Name)
	switch {
	case r.Event == "":
		return st
	case !finished:
		st.State = "interrupted"
	default:
		st.State, st.Seconds, st.Detail, st.Outputs = string(r.Event), r.Seconds, r.Detail, r.Outputs
	}
	st.Time = &r.Time
	return st
}

// Write writes the steps as a table for people, and below it what comes next and
// what is left; command is the one that goes on.
func (s Status) Write(w io.Writer, command string) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, step := range s.Steps {
		took := ""
		if step.State == string(Passed) {
			took = fmt.Sprintf("%.2f s", step.Seconds)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", step.Step, step.State, took, console.Safe(step.Detail))
	}
	_, _ = fmt.Fprintln(t)
	if len(s.Next) == 0 {
		_, _ = fmt.Fprintln(t, "next\tnothing: every step has passed")
	} else {
		_, _ = fmt.Fprintf(t, "next\t%s: %s\n", strings.Join(s.Next, ", "), command)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, e := range s.Left {
		_, err := fmt.Fprintf(w, "left behind, perhaps: %s %s: %s\n", e.Kind, console.Safe(e.Subject), e.way())
		if err != nil {
			return err
		}
	}
	return nil
}

// way is what becomes of an effect whose end is not known.
func (e Effect) way() string {
	if e.Kind.Lives() {
		return "`go tool mage sweep` lists what is there, and with -apply deletes it"
	}
	return "the next run looks, and adopts or makes it"
}
