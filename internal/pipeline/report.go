package pipeline

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/console"
)

// Report writes how long each step took in this process, and the critical path:
// the chain of needs that no parallelism could have shortened.
func (r *Run) Report(w io.Writer) error {
	r.mu.Lock()
	timings := append([]Timing(nil), r.timings...)
	r.mu.Unlock()
	took := map[string]time.Duration{}
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, s := range r.Graph {
		for _, timing := range timings {
			if timing.Step != s.Name {
				continue
			}
			took[s.Name] = timing.End.Sub(timing.Start)
			_, _ = fmt.Fprintf(t, "%s\t%6.2f s\t%s\n", s.Name, took[s.Name].Seconds(), keptNote(timing.Kept))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	path, length := r.Graph.criticalPath(took)
	_, err := fmt.Fprintf(w, "critical path %.2f s: %s\n", length.Seconds(), strings.Join(path, " › "))
	return err
}

func keptNote(kept bool) string {
	if kept {
		return "already done"
	}
	return ""
}

// criticalPath is the longest chain of needs, by the given durations.
func (g Graph) criticalPath(took map[string]time.Duration) ([]string, time.Duration) {
	length := map[string]time.Duration{}
	before := map[string]string{}
	last := ""
	for _, s := range g {
		for _, n := range s.Needs {
			if length[n] > length[s.Name] || before[s.Name] == "" {
				length[s.Name], before[s.Name] = length[n], n
			}
		}
		length[s.Name] += took[s.Name]
		if last == "" || length[s.Name] >= length[last] {
			last = s.Name
		}
	}
	var path []string
	for at := last; at != ""; at = before[at] {
		path = append([]string{at}, path...)
	}
	return path, length[last]
}

// Plan writes the step graph: what each step does and what it waits for.
func (g Graph) Plan(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for i, s := range g {
		needs := "-"
		if len(s.Needs) > 0 {
			needs = strings.Join(s.Needs, ", ")
		}
		_, _ = fmt.Fprintf(t, "%d\t%s\t%s\tafter %s\n", i+1, s.Name, s.Title, needs)
	}
	return t.Flush()
}

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
		defer f.Close()
		if records, _, err = ReadLedger(f.Name(), f); err != nil {
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

// WriteStates writes the states as a table for people.
func WriteStates(w io.Writer, states []State) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	for _, s := range states {
		took := ""
		if s.State == string(Passed) {
			took = fmt.Sprintf("%.2f s", s.Seconds)
		}
		_, _ = fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", s.Step, s.State, took, console.Safe(s.Detail))
	}
	return t.Flush()
}
