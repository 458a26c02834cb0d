package pipeline

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
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
	path, length := r.Graph.CriticalPath(took)
	_, err := fmt.Fprintf(w, "critical path %.2f s: %s\n", length.Seconds(), strings.Join(path, " › "))
	return err
}

func keptNote(kept bool) string {
	if kept {
		return "already done"
	}
	return ""
}

// CriticalPath is the longest chain of needs, by the given durations.
func (g Graph) CriticalPath(took map[string]time.Duration) ([]string, time.Duration) {
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
