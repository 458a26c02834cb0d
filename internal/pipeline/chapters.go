package pipeline

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
)

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
	return &fault.Error{Code: fault.Verification, Message: what, Expected: expected + " in " + a.from, Got: got + " in " + b.from,
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
