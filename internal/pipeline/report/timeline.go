package report

import (
	"fmt"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/pipeline"
)

// Timeline is when each step ran, and which of them nothing could have made shorter.
type Timeline struct {
	Steps    []Step   `json:"steps"`
	Critical []string `json:"critical"` // the longest chain of needs
	Seconds  float64  `json:"seconds"`  // that chain took
}

// Step is one step's last run, as the ledger has it.
type Step struct {
	Name    string     `json:"name"`
	Title   string     `json:"title"`
	State   string     `json:"state"` // "passed", "failed", "interrupted" or "not run"
	Start   *time.Time `json:"start,omitempty"`
	Seconds float64    `json:"seconds,omitempty"`
	Detail  string     `json:"detail,omitempty"` // why it failed
}

// TimelineOf reads it from what the ledger says of a graph's steps.
func TimelineOf(g pipeline.Graph, states []pipeline.State) Timeline {
	out := Timeline{Steps: []Step{}}
	took := map[string]time.Duration{}
	for _, s := range states {
		step := Step{Name: s.Step, Title: s.Title, State: s.State, Seconds: s.Seconds, Detail: s.Detail}
		took[s.Step] = time.Duration(s.Seconds * float64(time.Second))
		if s.Time != nil {
			start := s.Time.Add(-took[s.Step])
			step.Start = &start
		}
		out.Steps = append(out.Steps, step)
	}
	path, length := g.CriticalPath(took)
	out.Critical, out.Seconds = path, length.Seconds()
	return out
}

// Verdict is how far the release came, in words that say what stands in public.
func (t Timeline) Verdict(published, last string) Outcome {
	state := map[string]string{}
	passed := 0
	for _, s := range t.Steps {
		state[s.Name] = s.State
		if s.State == string(pipeline.Passed) {
			passed++
		}
	}
	public := "Nothing of it is public."
	if state[published] == string(pipeline.Passed) {
		public = "It is public as a pre-release, and nothing points to it as the latest one."
	}
	for _, s := range t.Steps {
		switch s.State {
		case string(pipeline.Failed):
			return Outcome{Stopped, fmt.Sprintf("Step %s failed. %s", s.Name, public)}
		case "interrupted":
			return Outcome{Interrupted, fmt.Sprintf("Step %s began and has not ended. %s", s.Name, public)}
		}
	}
	if state[last] == string(pipeline.Passed) {
		return Outcome{Released, fmt.Sprintf("All %d steps have passed.", len(t.Steps))}
	}
	return Outcome{UnderWay, fmt.Sprintf("%d of %d steps have passed. %s", passed, len(t.Steps), public)}
}

// Bar is a step as the page draws it, in hundredths of the whole width.
type Bar struct {
	Step

	Left, Width float64
	Critical    bool
	Took        string
}

// pause is how wide, beside the time in which steps ran, the page draws a time in which none did.
const pause = 0.03

// Bars lays the steps out in time. An hour in which nothing ran, such as one of
// waiting for an approval, is drawn narrow, so that the steps stay visible.
func (t Timeline) Bars() []Bar {
	busy := t.busy()
	whole := width(busy)
	out := make([]Bar, 0, len(t.Steps))
	for _, s := range t.Steps {
		b := Bar{Step: s, Critical: slices.Contains(t.Critical, s.Name) && s.Seconds > 0}
		if s.Start != nil && whole > 0 {
			b.Left = 100 * place(busy, *s.Start) / whole
			b.Width = max(0.4, 100*place(busy, s.end())/whole-b.Left)
			b.Left = min(b.Left, 100-b.Width)
			b.Took = seconds(s.Seconds)
		}
		out = append(out, b)
	}
	return out
}

func (s Step) end() time.Time { return s.Start.Add(time.Duration(s.Seconds * float64(time.Second))) }

// span is a time in which at least one step ran.
type span struct{ from, to time.Time }

// busy are the spans in which steps ran, joined where they touch or overlap.
func (t Timeline) busy() []span {
	var all []span
	for _, s := range t.Steps {
		if s.Start != nil {
			all = append(all, span{*s.Start, s.end()})
		}
	}
	slices.SortFunc(all, func(a, b span) int { return a.from.Compare(b.from) })
	var out []span
	for _, s := range all {
		if n := len(out); n > 0 && !s.from.After(out[n-1].to) {
			if s.to.After(out[n-1].to) {
				out[n-1].to = s.to
			}
			continue
		}
		out = append(out, s)
	}
	return out
}

// ran is how long, in seconds, steps ran in these spans.
func ran(spans []span) (sum float64) {
	for _, s := range spans {
		sum += s.to.Sub(s.from).Seconds()
	}
	return sum
}

// width is that of all spans with the pauses between them: a short one counts as it is.
func width(spans []span) float64 {
	if len(spans) == 0 {
		return 0
	}
	return place(spans, spans[len(spans)-1].to)
}

// place is how far from the beginning a moment is drawn.
func place(spans []span, at time.Time) float64 {
	longest := pause * ran(spans)
	var x float64
	for i, s := range spans {
		if i > 0 {
			x += min(s.from.Sub(spans[i-1].to).Seconds(), longest)
		}
		if !at.After(s.to) {
			return x + max(0, at.Sub(s.from).Seconds())
		}
		x += s.to.Sub(s.from).Seconds()
	}
	return x
}

func seconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1f s", s)
	}
	d := time.Duration(s * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("%d min %02d s", int(d.Minutes()), int(d.Seconds())%60)
}
