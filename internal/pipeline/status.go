package pipeline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"
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

// Status reads the ledger in dir, without locking or changing it, and says how
// far each step of the graph got.
func (g Graph) Status(dir string) ([]State, error) {
	f, err := os.Open(filepath.Join(dir, LedgerName))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var records []Record
	if err == nil {
		defer f.Close() //nolint:errcheck // read only
		if records, _, err = ReadLedger(f); err != nil {
			return nil, err
		}
	}
	out := make([]State, 0, len(g))
	for _, s := range g {
		out = append(out, state(s, records))
	}
	return out, nil
}

func state(s Step, records []Record) State {
	st := State{Step: s.Name, Title: s.Title, State: "not run"}
	r, finished := latest(records, s.Name)
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

// WriteStates writes the states as a table for people.
func WriteStates(w io.Writer, states []State) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, s := range states {
		took := ""
		if s.State == string(Passed) {
			took = fmt.Sprintf("%.2f s", s.Seconds)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Step, s.State, took, s.Detail)
	}
	return t.Flush()
}
