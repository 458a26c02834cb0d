package pipeline

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// LedgerName is the file that every release directory (dist/{tag}) holds.
const LedgerName = "ledger.jsonl"

// maxLedger bounds a ledger that is read back, in bytes.
const maxLedger = 16 << 20

// orReset ends hints about a tag that cannot go on.
const orReset = "or, for a rehearsal, run `go tool mage rehearse:reset`"

// Event says what a record is about.
type Event string

// Intent comes before a step, and before each effect within it; Passed or Failed after.
const (
	Intent Event = "intent"
	Passed Event = "passed"
	Failed Event = "failed"
)

// Record is one line of the ledger: about a step or, with a kind and a subject,
// about a single effect within it.
type Record struct {
	Time    time.Time    `json:"time"`
	Tag     string       `json:"tag"`
	Commit  string       `json:"commit"`
	Step    string       `json:"step"`
	Event   Event        `json:"event"`
	Kind    journal.Kind `json:"kind,omitempty"`
	Subject string       `json:"subject,omitempty"`
	Inputs  Digests      `json:"inputs,omitempty"`
	Outputs Digests      `json:"outputs,omitempty"`
	Seconds float64      `json:"seconds,omitempty"`
	Detail  string       `json:"detail,omitempty"` // why it failed
}

// Ledger is the append-only memory of one release: one JSON object a line,
// fsynced. A last line cut short by a crash is dropped when the ledger is opened.
type Ledger struct {
	tag, commit string
	now         func() time.Time
	mu          sync.Mutex
	file        *os.File
	records     []Record
	broken      error // the first write that failed: nothing is written after it
}

// OpenLedger opens or creates the ledger in dir and locks it against other
// processes. A ledger of another tag or commit is refused.
func OpenLedger(dir, tag, commit string, now func() time.Time) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(dir, LedgerName), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l := &Ledger{tag: tag, commit: commit, now: now, file: f}
	if err := l.load(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

func (l *Ledger) load() error {
	if err := file.TryLock(l.file); err != nil {
		return &fault.Error{Code: fault.General, Message: "another process works on " + l.tag, Err: err,
			Hint: "wait for it to end; the lock goes with the process"}
	}
	records, size, err := ReadLedger(l.file)
	if err != nil {
		return err
	}
	if err := l.sameRelease(records); err != nil {
		return err
	}
	l.records = records
	if err := l.file.Truncate(size); err != nil {
		return err
	}
	_, err = l.file.Seek(size, io.SeekStart)
	return err
}

func (l *Ledger) sameRelease(records []Record) error {
	for _, r := range records {
		if r.Tag != l.tag || r.Commit != l.commit {
			return &fault.Error{Code: fault.General, Message: "the ledger belongs to another release",
				Expected: l.tag + " at commit " + l.commit, Got: r.Tag + " at commit " + r.Commit,
				Hint: "a tag never changes once it was begun: release under the next version, " + orReset}
		}
	}
	return nil
}

// ReadLedger parses records and returns how many bytes of whole lines it read.
// A torn last line is not an error; anything else that is not a record is.
func ReadLedger(r io.Reader) (records []Record, size int64, err error) {
	in := bufio.NewReader(io.LimitReader(r, maxLedger+1))
	for {
		line, err := in.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return records, size, nil
		}
		if err != nil {
			return nil, 0, err
		}
		if size += int64(len(line)); size > maxLedger {
			return nil, 0, fmt.Errorf("ledger is larger than %d bytes", maxLedger)
		}
		var rec Record
		dec := json.NewDecoder(bytes.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&rec); err != nil {
			return nil, 0, fmt.Errorf("ledger line %d: %w", len(records)+1, err)
		}
		if rec.Event != Intent && rec.Event != Passed && rec.Event != Failed {
			return nil, 0, unknownEvent(len(records)+1, rec)
		}
		records = append(records, rec)
	}
}

// unknownEvent refuses, among others, ledgers from before effects had a kind:
// what of theirs was left open cannot be known.
func unknownEvent(line int, r Record) error {
	return &fault.Error{Code: fault.General,
		Message:  fmt.Sprintf("line %d of the ledger of %s is of another format", line, r.Tag),
		Expected: fmt.Sprintf("event %s, %s or %s", Intent, Passed, Failed), Got: fmt.Sprintf("event %q", r.Event),
		Hint: "end the release with the sources that began it, " + orReset}
}

// append adds a record and returns once it is on disk. A write that fails may
// leave half a line, after which no other may come: a full disk ends the ledger
// until it is opened again.
func (l *Ledger) append(r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken != nil {
		return l.broken
	}
	r.Time, r.Tag, r.Commit = l.now().UTC(), l.tag, l.commit
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	_, err = l.file.Write(append(b, '\n'))
	if err == nil {
		err = l.file.Sync()
	}
	if err != nil {
		l.broken = fmt.Errorf("the ledger of %s cannot be written: %w", l.tag, err)
		return l.broken
	}
	l.records = append(l.records, r)
	return nil
}

// journal writes the entries of a step's effects.
func (l *Ledger) journal(step string) journal.Journal {
	return func(e journal.Entry) error {
		r := Record{Step: step, Event: Intent, Kind: e.Kind, Subject: e.Subject}
		switch {
		case e.Err != nil:
			r.Event, r.Detail = Failed, e.Err.Error()
		case e.Ended:
			r.Event = Passed
		}
		return l.append(r)
	}
}

// Open are the subjects of a kind that began and are not known to have ended.
func (l *Ledger) Open(kind journal.Kind) []string { return Open(l.Records(), kind) }

// Open are the subjects of a kind that began in these records and are not known
// to have ended, in the order in which they began.
func Open(records []Record, kind journal.Kind) []string {
	var open []string
	for _, r := range records {
		i := slices.Index(open, r.Subject)
		switch {
		case r.Kind != kind:
		case r.Event == Passed && i >= 0:
			open = slices.Delete(open, i, i+1)
		case r.Event == Intent && i < 0:
			open = append(open, r.Subject)
		}
	}
	return open
}

// Records returns a copy of everything recorded.
func (l *Ledger) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Record(nil), l.records...)
}

// Latest is the newest outcome of a step, if there is one. An intent without
// outcome (a crash) leaves the older outcome void.
func (l *Ledger) Latest(step string) (Record, bool) { return latest(l.Records(), step) }

func latest(records []Record, step string) (Record, bool) {
	var found Record
	ok := false
	for _, r := range records {
		if r.Step != step || r.Kind != "" {
			continue
		}
		found, ok = r, r.Event != Intent
	}
	return found, ok
}

// begun says whether the step was ever started, and the inputs it had last.
func (l *Ledger) begun(step string) (Digests, bool) {
	var in Digests
	ok := false
	for _, r := range l.Records() {
		if r.Step == step && r.Event == Intent && r.Kind == "" {
			in, ok = r.Inputs, true
		}
	}
	return in, ok
}

func (l *Ledger) passedWith(step string, inputs Digests) (Record, bool) {
	r, ok := l.Latest(step)
	return r, ok && r.Event == Passed && maps.Equal(r.Inputs, inputs)
}

// Close releases the lock.
func (l *Ledger) Close() error { return l.file.Close() }
