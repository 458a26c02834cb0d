package pipeline

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mergeable is a graph by name alone: merging performs nothing.
func mergeable() Graph {
	var g Graph
	for _, name := range []string{"v", "b/x", "b/y", "b/z", "m/x", "m/y", "m/z", "j", "s"} {
		g = append(g, Step{Name: name})
	}
	return g
}

// A whole ledger, cut into what each job would have recorded in any number of
// attempts, comes together again as it was, whatever the pieces and their order.
func TestAnyLedgerComesTogetherAgain(t *testing.T) {
	t.Parallel()
	g := mergeable()
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		whole := recorded(r)
		pieces := split(r, whole)
		r.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		got, err := g.merge(pieces)
		require.NoError(t, err, "seed %d", seed)
		require.Equal(t, whole, got, "seed %d", seed)
		again, err := g.merge(append(pieces, history{"merged", got}))
		require.NoError(t, err)
		require.Equal(t, got, again)
	}
}

// recorded is a ledger in the order in which merging writes it.
func recorded(r *rand.Rand) (out []Record) {
	add := func(step string) {
		for range 1 + r.IntN(3) {
			event := []Event{Intent, Passed, Failed}[r.IntN(3)]
			out = append(out, Record{Time: time.Unix(int64(len(out)), r.Int64N(1e9)).UTC(), Tag: "t", Commit: "c", Step: step,
				Event:   event,
				Outputs: Digests{"o": fmt.Sprint(r.IntN(9))}})
		}
	}
	add("v")
	for _, part := range []string{"x", "y", "z"} {
		add("b/" + part)
		add("m/" + part)
	}
	add("j")
	add("s")
	return out
}

// split cuts a ledger into histories of jobs: each part in one or more of them,
// in each but the last only its first records.
func split(r *rand.Rand, whole []Record) (out []history) {
	only := func(keep func(Record) bool) []Record {
		return slices.DeleteFunc(slices.Clone(whole), func(rec Record) bool { return !keep(rec) })
	}
	begun := only(func(rec Record) bool { return rec.Step == "v" })
	piece := func(records []Record) {
		out = append(out, history{fmt.Sprint("job ", len(out)), slices.Concat(begun, records)})
	}
	for _, part := range []string{"x", "y", "z"} {
		records := only(func(rec Record) bool { return partOf(rec.Step) == part })
		for range r.IntN(3) {
			piece(records[:r.IntN(len(records)+1)])
		}
		piece(records)
	}
	out = append(out, history{"before", begun[:1+r.IntN(len(begun))]}) // whoever handed it out
	piece(whole[len(begun):])                                          // the job that goes on after the merge
	return out
}

// Of any two ledgers: both orders give one answer, and what was merged stays.
func FuzzMerge(f *testing.F) {
	line := func(second int, step string, event Event) []byte {
		b, err := encode([]Record{{Time: time.Unix(int64(second), 0).UTC(), Tag: "t", Commit: "c", Step: step, Event: event,
			Inputs: Digests{"i": "1"}}})
		require.NoError(f, err)
		return b
	}
	v, x, y := line(1, "v", Passed), line(2, "b/x", Passed), line(3, "b/y", Intent)
	f.Add(slices.Concat(v, x), slices.Concat(v, y))
	f.Add(slices.Concat(v, x), slices.Concat(v, x, line(4, "m/x", Failed)))
	f.Add(slices.Concat(v, x, y, line(5, "j", Passed)), v)
	f.Add(slices.Concat(v, y, x, line(5, "v", Passed)), slices.Concat(v, line(9, "b/x", Passed)))
	f.Add([]byte("{}\n"), []byte(nil))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		first, _, errA := ReadLedger(LedgerName, bytes.NewReader(a))
		second, _, errB := ReadLedger(LedgerName, bytes.NewReader(b))
		if errA != nil || errB != nil {
			return
		}
		g := mergeable()
		one, two := history{"one", first}, history{"two", second}
		merged, err := g.merge([]history{one, two})
		other, errOther := g.merge([]history{two, one})
		require.Equal(t, err, errOther)
		require.Equal(t, merged, other)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(merged), len(first)+len(second))
		for _, again := range [][]history{{{"merged", merged}}, {{"merged", merged}, one}, {two, one, {"merged", merged}}} {
			got, err := g.merge(again)
			require.NoError(t, err)
			require.True(t, equal(merged, got))
		}
		for _, h := range []history{one, two} {
			for _, s := range g {
				want := slices.DeleteFunc(slices.Clone(h.records), func(r Record) bool { return r.Step != s.Name })
				have := slices.DeleteFunc(slices.Clone(merged), func(r Record) bool { return r.Step != s.Name })
				require.True(t, equal(want, have[:len(want)]), "every step's records stay, in their order")
			}
		}
	})
}
