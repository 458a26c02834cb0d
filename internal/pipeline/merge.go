package pipeline

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Merge takes in what the jobs of this release did side by side, each on a
// machine of its own: dirs are folders like the one that this ledger lies in.
// What every job was handed is kept once, then come the parts in the graph's
// order, then what followed; what was staged is copied. The result does not
// depend on the order of dirs, merging again changes nothing, and ledgers or
// files that contradict each other change nothing either.
func (l *Ledger) Merge(g Graph, dirs []string) error {
	histories, err := l.histories(dirs)
	if err != nil {
		return err
	}
	records, err := g.merge(histories)
	if err != nil {
		return err
	}
	if err := gather(dirs, filepath.Dir(l.file.Name())); err != nil {
		return err
	}
	if equal(records, l.Records()) {
		return nil
	}
	return l.replace(records) // last: a merge that was cut short is done again
}

// history is what one ledger says, and where it lies.
type history struct {
	from    string
	records []Record
}

// histories reads the ledgers of the folders; this one's is among them once it holds something.
func (l *Ledger) histories(dirs []string) ([]history, error) {
	var out []history
	if own := l.Records(); len(own) > 0 {
		out = append(out, history{l.file.Name(), own})
	}
	for _, dir := range dirs {
		name := filepath.Join(dir, LedgerName)
		f, err := os.Open(name)
		if err != nil {
			return nil, &fault.Error{Code: fault.MissingAsset, Message: "a job's ledger", Err: err}
		}
		records, _, err := ReadLedger(name, f)
		if err := errors.Join(err, f.Close()); err != nil {
			return nil, &fault.Error{Code: fault.Verification, Message: name, Err: err}
		}
		if err := l.sameRelease(records); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out = append(out, history{name, records})
	}
	return out, nil
}

// replace swaps the ledger's file for one with these records, and keeps the lock.
func (l *Ledger) replace(records []Record) error {
	data, err := encode(records)
	if err != nil {
		return err
	}
	name := l.file.Name()
	if err := file.Write(name, data, 0o644); err != nil {
		return err
	}
	f, err := os.OpenFile(name, os.O_RDWR, 0o644)
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	old := l.file
	l.file = f
	return errors.Join(l.load(), old.Close())
}

// merge joins histories that agree.
func (g Graph) merge(histories []history) ([]Record, error) {
	all, err := g.takeApart(histories)
	if err != nil {
		return nil, err
	}
	beginning, err := shared(all)
	if err != nil {
		return nil, err
	}
	whole := all[0]
	for _, c := range all[1:] {
		for _, part := range slices.Sorted(maps.Keys(c.parts)) {
			if whole.parts[part], err = longer(whole.part(whole.parts[part]), c.part(c.parts[part])); err != nil {
				return nil, err
			}
		}
		if whole.end, err = longer(whole.part(whole.end), c.part(c.end)); err != nil {
			return nil, err
		}
	}
	out := slices.Clone(beginning)
	for _, part := range g.parts() {
		out = append(out, whole.parts[part]...)
	}
	return append(out, whole.end...), nil
}

// shared is the beginning of all: where no part was begun yet, it may stop short.
func shared(all []*chapters) ([]Record, error) {
	longest := slices.MaxFunc(all, func(a, b *chapters) int { return cmp.Compare(len(a.beginning), len(b.beginning)) })
	for _, c := range all {
		want := longest.beginning
		if len(c.parts) == 0 {
			want = want[:len(c.beginning)]
		}
		if !equal(want, c.beginning) {
			return nil, conflict("the ledgers do not share their beginning", longest.part(longest.beginning),
				c.part(c.beginning))
		}
	}
	return longest.beginning, nil
}

// longer is the history that goes on where the other one ends.
func longer(a, b history) ([]Record, error) {
	if len(a.records) < len(b.records) {
		a, b = b, a
	}
	if !equal(a.records[:len(b.records)], b.records) {
		return nil, conflict("the ledgers contradict each other", a, b)
	}
	return a.records, nil
}

func equal(a, b []Record) bool { return slices.EqualFunc(a, b, same) }

// same compares records as the ledger writes them.
func same(a, b Record) bool {
	x, errX := encode([]Record{a})
	y, errY := encode([]Record{b})
	return errX == nil && errY == nil && string(x) == string(y)
}

// parts are the names that follow the targets' in the graph's steps, in its order.
func (g Graph) parts() []string {
	var out []string
	for _, s := range g {
		if part := partOf(s.Name); part != "" && !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	return out
}

func partOf(step string) string {
	_, part, _ := strings.Cut(step, "/")
	return part
}

func byPlace(a, b history) int { return cmp.Compare(a.from, b.from) }

// chapters is a history taken apart: what was done before any part began, what
// was done for each part, and everything else that came later.
type chapters struct {
	from           string
	beginning, end []Record
	parts          map[string][]Record
}

// part is some of the records, which lie where all of them do.
func (c *chapters) part(records []Record) history { return history{c.from, records} }

// takeApart takes the histories apart, in an order of their own. Each must have
// a beginning that no later record changes, and know no other steps than these.
func (g Graph) takeApart(histories []history) ([]*chapters, error) {
	if len(histories) == 0 {
		return nil, &fault.Error{Code: fault.MissingAsset, Message: "no ledger to merge"}
	}
	var out []*chapters
	for _, h := range slices.SortedFunc(slices.Values(histories), byPlace) {
		c := &chapters{from: h.from, parts: map[string][]Record{}}
		for _, r := range h.records {
			if _, ok := g.Step(r.Step); !ok {
				return nil, fault.Mismatch(h.from, "steps of this pipeline", fmt.Sprintf("%q", r.Step))
			}
			c.add(r)
		}
		if err := c.check(); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, nil
}

func (c *chapters) add(r Record) {
	switch part := partOf(r.Step); {
	case part != "":
		c.parts[part] = append(c.parts[part], r)
	case len(c.parts) == 0:
		c.beginning = append(c.beginning, r)
	default:
		c.end = append(c.end, r)
	}
}

func (c *chapters) check() error {
	if len(c.beginning) == 0 {
		return fault.Mismatch("the ledgers do not share their beginning",
			"a step that was done for all parts", "none in "+c.from)
	}
	for _, r := range c.end {
		if slices.ContainsFunc(c.beginning, func(b Record) bool { return b.Step == r.Step }) {
			return fault.Mismatch("the ledgers do not share their beginning",
				r.Step+" before any part", "again at "+r.Time.Format(time.RFC3339)+" in "+c.from)
		}
	}
	return nil
}

// conflict says where two histories part ways.
func conflict(what string, a, b history) error {
	i := 0
	for i < min(len(a.records), len(b.records)) && same(a.records[i], b.records[i]) {
		i++
	}
	x, y := at(a, i), at(b, i)
	expected, got := differ(x, y)
	return &fault.Error{Code: fault.Verification, Message: what, Expected: expected + " in " + a.from,
		Got:  got + " in " + b.from,
		Hint: "the jobs of one run share the job before them: run the failed jobs again, not a part of another run"}
}

func at(h history, i int) Record {
	if i < len(h.records) {
		return h.records[i]
	}
	return Record{}
}

// differ shows what is different in two records.
func differ(a, b Record) (x, y string) {
	if a.Step == b.Step && a.Event == b.Event {
		if name, was, is := firstDifference(a.Inputs, b.Inputs); name != "" {
			return fmt.Sprintf("%s with input %s=%s", a.Step, name, was), fmt.Sprintf("%s with input %s=%s", b.Step, name, is)
		}
		if name, was, is := firstDifference(a.Outputs, b.Outputs); name != "" {
			return fmt.Sprintf("%s with output %s=%s", a.Step, name, was), fmt.Sprintf("%s with output %s=%s", b.Step, name, is)
		}
	}
	return a.describe(), b.describe()
}

func (r Record) describe() string {
	if r.Step == "" {
		return "nothing"
	}
	of := r.Step
	if r.Kind != "" {
		of = fmt.Sprintf("%s %s in %s", r.Kind, r.Subject, r.Step)
	}
	return fmt.Sprintf("%s of %s at %s", r.Event, of, r.Time.Format(time.RFC3339Nano))
}

// encode writes records as the ledger has them, one a line.
func encode(records []Record) ([]byte, error) {
	var b bytes.Buffer
	for _, r := range records {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		b.Write(append(line, '\n'))
	}
	return b.Bytes(), nil
}
