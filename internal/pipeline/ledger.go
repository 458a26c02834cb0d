package pipeline

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/canonical"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/journal"
)

// LedgerName is the file that every release directory (dist/{tag}) holds.
const LedgerName = "ledger.jsonl"

// maxLedger bounds a ledger that is read back, in bytes, and maxDetail what a record keeps of an error.
const (
	maxLedger = 16 << 20
	maxDetail = 16 << 10
)

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
	disk        disk  // where append writes: the file
	written     int64 // bytes of its whole lines
	torn        int64 // bytes that a crash left of a last line, dropped when the ledger was opened
	broken      error // the first write that failed: nothing is written after it
}

// disk is what append needs of the file; a test puts a full one in its place.
type disk interface {
	io.Writer
	Sync() error
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
	if err := l.lock(); err != nil {
		return err
	}
	records, size, err := ReadLedger(l.file.Name(), l.file)
	if err != nil {
		return err
	}
	if err := l.sameRelease(records); err != nil {
		return err
	}
	end, err := l.file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	l.records, l.disk, l.written, l.torn = records, l.file, size, end-size
	if err := l.file.Truncate(size); err != nil {
		return err
	}
	_, err = l.file.Seek(size, io.SeekStart)
	return err
}

// lock takes the file's lock. Whoever had it before may have put another file in
// the place of this one, which nobody would read again.
func (l *Ledger) lock() error {
	err := file.TryLock(l.file)
	if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
		return &fault.Error{Code: fault.General, Message: "cannot lock the ledger of " + l.tag, Err: err,
			Hint: "the folder of the releases must lie on a file system that knows locks: MERO_DIST moves it"}
	}
	if err == nil {
		err = l.inPlace()
	}
	if err == nil {
		return nil
	}
	return &fault.Error{Code: fault.General, Message: "another process works on " + l.tag, Err: err,
		Hint: "wait for it to end; the lock goes with the process"}
}

func (l *Ledger) inPlace() error {
	own, err := l.file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Stat(l.file.Name())
	if err == nil && !os.SameFile(own, there) {
		err = errors.New("it has just replaced the ledger")
	}
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

// ReadRecords reads the ledger in dir, without locking or changing it; without one there are no records.
func ReadRecords(dir string) ([]Record, error) {
	f, err := os.Open(filepath.Join(dir, LedgerName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	records, _, err := ReadLedger(f.Name(), f)
	return records, err
}

// ReadLedger parses the records of the ledger that lies at name and returns how
// many bytes of whole lines it read. A torn last line is not an error; anything
// else that is not exactly one record a line is, and names its line.
func ReadLedger(name string, r io.Reader) (records []Record, size int64, err error) {
	data, err := io.ReadAll(io.LimitReader(r, maxLedger+1))
	if err != nil {
		return nil, 0, err
	}
	if len(data) > maxLedger {
		return nil, 0, unreadable(name+" is too large", errTooLarge)
	}
	for {
		line, rest, whole := bytes.Cut(data, []byte("\n"))
		if !whole {
			return records, size, nil
		}
		record, err := parseRecord(line)
		if err != nil {
			return nil, 0, unreadable(fmt.Sprintf("line %d of %s is no record", len(records)+1, name), err)
		}
		records, size, data = append(records, record), size+int64(len(line))+1, rest
	}
}

var errTooLarge = fmt.Errorf("it has more than %d bytes", maxLedger)

// parseRecord reads one line. An unknown event may be of a ledger from before effects had a kind (2026-11-26), an
// unknown kind of a later pipeline: what of theirs was left open cannot be known.
func parseRecord(line []byte) (r Record, err error) {
	if err := canonical.Unmarshal(line, &r); err != nil {
		return Record{}, err
	}
	switch {
	case r.Event != Intent && r.Event != Passed && r.Event != Failed:
		err = fmt.Errorf("event %q is not %s, %s or %s", r.Event, Intent, Passed, Failed)
	case r.Step == "":
		err = errors.New("it names no step")
	case r.Kind == "" && r.Subject != "":
		err = fmt.Errorf("subject %.100q is of no kind", r.Subject)
	case r.Kind != "" && !slices.Contains(journal.Kinds(), r.Kind):
		err = fmt.Errorf("kind %q is not known", r.Kind)
	}
	return r, err
}

func unreadable(message string, err error) error {
	return &fault.Error{Code: fault.General, Message: message, Err: err,
		Hint: "move the file away and run again: what was published or built is adopted, or refused in words; " +
			"`go tool mage sweep` lists what is left at providers"}
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
	line, r, err := l.line(r)
	if err != nil {
		return fmt.Errorf("the ledger of %s cannot be written: %w", l.tag, err)
	}
	_, err = l.disk.Write(line)
	if err == nil {
		err = l.disk.Sync()
	}
	if err != nil {
		l.broken = fmt.Errorf("the ledger of %s cannot be written: %w", l.tag, err)
		return l.broken
	}
	l.records, l.written = append(l.records, r), l.written+int64(len(line))
	return nil
}

// line is a record as it is written, and as it will be read again. One that
// could not be read would stop every later run: it is an error before its effect.
func (l *Ledger) line(r Record) ([]byte, Record, error) {
	if len(r.Detail) > maxDetail {
		r.Detail = strings.ToValidUTF8(r.Detail[:maxDetail], "") + "…"
	}
	line, err := json.Marshal(r)
	if err != nil {
		return nil, Record{}, err
	}
	if r, err = parseRecord(line); err != nil {
		return nil, Record{}, err
	}
	if line = append(line, '\n'); l.written+int64(len(line)) > maxLedger {
		err = unreadable("it is full", errTooLarge)
	}
	return line, r, err
}

// Journal writes the entries of a step's effects, or of a command's that is no step.
func (l *Ledger) Journal(step string) journal.Journal {
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
func (l *Ledger) Latest(step string) (Record, bool) { return Latest(l.Records(), step) }

// Latest is the newest outcome of a step in these records, likewise.
func Latest(records []Record, step string) (Record, bool) {
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

// Torn is how many bytes of a last line, cut short by a crash, were dropped when the ledger was opened.
func (l *Ledger) Torn() int64 { return l.torn }

// Close releases the lock.
func (l *Ledger) Close() error { return l.file.Close() }
