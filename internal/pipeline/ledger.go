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
	"sync"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// LedgerName is the file that every release directory (dist/{tag}) holds.
const LedgerName = "ledger.jsonl"

// maxLedger bounds a ledger that is read back, in bytes.
const maxLedger = 16 << 20

// Event says what a record is about.
type Event string

// Intent comes before the side effects of a step, Passed or Failed after them;
// Effect marks a single side effect within.
const (
	Intent Event = "intent"
	Effect Event = "effect"
	Passed Event = "passed"
	Failed Event = "failed"
)

// Record is one line of the ledger.
type Record struct {
	Time    time.Time `json:"time"`
	Tag     string    `json:"tag"`
	Commit  string    `json:"commit"`
	Step    string    `json:"step"`
	Event   Event     `json:"event"`
	Inputs  Digests   `json:"inputs,omitempty"`
	Outputs Digests   `json:"outputs,omitempty"`
	Seconds float64   `json:"seconds,omitempty"`
	Detail  string    `json:"detail,omitempty"`
}

// Ledger is the append-only memory of one release: one JSON object a line,
// fsynced. A last line cut short by a crash is dropped when the ledger is opened.
type Ledger struct {
	tag, commit string
	now         func() time.Time
	mu          sync.Mutex
	file        *os.File
	records     []Record
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
				Hint: "a tag never changes once it was begun: release under the next version, or, for a rehearsal, run `go tool mage rehearse:reset`"}
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
		records = append(records, rec)
	}
}

// append adds a record and returns once it is on disk.
func (l *Ledger) append(r Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.Time, r.Tag, r.Commit = l.now().UTC(), l.tag, l.commit
	b, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if _, err := l.file.Write(append(b, '\n')); err != nil {
		return err
	}
	l.records = append(l.records, r)
	return l.file.Sync()
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
		if r.Step != step || r.Event == Effect {
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
		if r.Step == step && r.Event == Intent {
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
