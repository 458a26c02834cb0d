package report_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/pipeline"
	"github.com/calimero-network/mero-tee/internal/pipeline/report"
)

func graph() pipeline.Graph {
	return pipeline.Graph{{Name: "kms:build"}, {Name: "kms:publish", Needs: []string{"kms:build"}},
		{Name: "kms:promote", Needs: []string{"kms:publish"}}}
}

func states(of ...string) []pipeline.State {
	var out []pipeline.State
	for i, s := range of {
		out = append(out, pipeline.State{Step: graph()[i].Name, State: s})
	}
	return out
}

// The verdict says what became of it, and what of it is public.
func TestVerdict(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		states []pipeline.State
		state  report.State
		words  []string
	}{
		{states("passed", "passed", "passed"), report.Released, []string{"All 3 steps"}},
		{states("passed", "passed", "not run"), report.UnderWay, []string{"2 of 3", "public as a pre-release"}},
		{states("passed", "not run", "not run"), report.UnderWay, []string{"1 of 3", "Nothing of it is public"}},
		{states("failed", "not run", "not run"), report.Stopped, []string{"kms:build failed", "Nothing of it is public"}},
		{states("passed", "passed", "failed"), report.Stopped, []string{"kms:promote failed", "public as a pre-release"}},
		{states("passed", "interrupted", "not run"), report.Interrupted, []string{"kms:publish began"}},
	} {
		got := report.TimelineOf(graph(), c.states).Verdict("kms:publish", "kms:promote")
		require.Equal(t, c.state, got.State)
		for _, want := range c.words {
			require.Contains(t, got.Words, want)
		}
	}
}

// An hour in which nothing ran, as one of waiting for an approval, does not make the steps invisible.
func TestPausesAreDrawnShort(t *testing.T) {
	t.Parallel()
	begin := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	ended := func(after, took time.Duration) *time.Time { at := begin.Add(after + took); return &at }
	line := report.TimelineOf(graph(), []pipeline.State{
		{Step: "kms:build", State: "passed", Time: ended(0, 50*time.Second), Seconds: 50},
		{Step: "kms:publish", State: "passed", Time: ended(50*time.Second, 25*time.Second), Seconds: 25},
		{Step: "kms:promote", State: "passed", Time: ended(9*time.Hour, 25*time.Second), Seconds: 25},
	})
	require.Equal(t, []string{"kms:build", "kms:publish", "kms:promote"}, line.Critical)
	require.InDelta(t, 100, line.Seconds, 1e-9)
	bars := line.Bars()
	want := [][2]float64{{0, 50 / 1.03}, {50 / 1.03, 25 / 1.03}, {78 / 1.03, 25 / 1.03}} // 100 s, and a pause as 3
	for i, w := range want {
		require.InDelta(t, w[0], bars[i].Left, 1e-6)
		require.InDelta(t, w[1], bars[i].Width, 1e-6)
		require.True(t, bars[i].Critical)
		require.LessOrEqual(t, bars[i].Left+bars[i].Width, 100.001)
	}
}

// A step that took no time is seen, and one that never ran has no bar.
func TestShortBars(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 27, 10, 0, 0, 0, time.UTC)
	later := at.Add(100 * time.Second)
	bars := report.TimelineOf(graph(), []pipeline.State{
		{Step: "kms:build", State: "passed", Time: &later, Seconds: 100},
		{Step: "kms:publish", State: "interrupted", Time: &later},
		{Step: "kms:promote", State: "not run"},
	}).Bars()
	require.Positive(t, bars[1].Width)
	require.LessOrEqual(t, bars[1].Left+bars[1].Width, 100.001)
	require.Zero(t, bars[2].Width)
	require.Nil(t, bars[2].Start)
}
