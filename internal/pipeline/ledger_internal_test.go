package pipeline

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/journal"
)

func openLedger(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := OpenLedger(dir, "mero-kms-v1.2.0", "0123456789abcdef0123456789abcdef01234567", time.Now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// fullDisk takes some more bytes and then none, like a disk that is full in the middle of a line.
type fullDisk struct {
	*os.File
	left int
}

func (d *fullDisk) Write(b []byte) (int, error) {
	n, err := d.File.Write(b[:min(d.left, len(b))])
	if d.left -= n; err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

// full lets every write fail as on a full disk.
func (l *Ledger) full() { l.disk = &fullDisk{File: l.file} }

// "Intent before a side effect": on a full disk no step and no effect begins, and
// a step whose effects have begun does not pass.
func TestAFullDisk(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		begins  bool // the disk is full only once the step has begun
		effects int
	}{"before the step": {false, 0}, "before its second effect": {true, 1}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l, effects := openLedger(t, t.TempDir()), 0
			upload := func() error { effects++; return nil }
			run := &Run{Ledger: l, Console: console.New(io.Discard, false),
				Graph: Graph{{Name: "publish", Do: func(_ context.Context, w *Work) error {
					if err := w.Do(journal.Upload, "a", upload); err != nil {
						return err
					}
					l.full()
					return w.Do(journal.Upload, "b", upload)
				}}}}
			if !tc.begins {
				l.full()
			}
			err := run.All(t.Context())
			require.ErrorIs(t, err, syscall.ENOSPC)
			require.ErrorContains(t, err, "the ledger of mero-kms-v1.2.0 cannot be written")
			require.Equal(t, tc.effects, effects)
			_, ok := l.Latest("publish")
			require.False(t, ok, "it has not passed")
		})
	}
}

func TestOpenEffects(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLedger(t, dir)
	j := l.Journal("kms:e2e")
	for _, name := range []string{"a", "b", "c"} {
		require.NoError(t, j.Begin(journal.Deployment, name))
	}
	require.NoError(t, j.Begin(journal.Deployment, "a"), "begun again by a later run")
	require.NoError(t, j.End(journal.Deployment, "b", nil))
	require.NoError(t, j.End(journal.Deployment, "c", errors.New("no answer")))
	require.NoError(t, j.Begin(journal.VM, "d"))
	require.Equal(t, []string{"a", "c"}, l.Open(journal.Deployment), "what broke off may have left something")
	require.Equal(t, []string{"d"}, l.Open(journal.VM))
	_, ok := l.Latest("kms:e2e")
	require.False(t, ok, "effects are no outcome of their step")
}

// Each byte of an append can be the last one that a disk takes, or that a kill lets through: what was written
// before stays, what is written after it stands in lines of its own.
func TestAppendBreaksOffAtEveryByte(t *testing.T) {
	t.Parallel()
	first, second := Record{Step: "kms:build", Event: Intent}, Record{Step: "kms:build", Event: Passed, Detail: "wörk"}
	whole := t.TempDir()
	l := openLedger(t, whole)
	l.now = func() time.Time { return time.Unix(1_800_000_000, 0) } // a line is as long each time
	require.NoError(t, l.append(first))
	before := l.size(t)
	require.NoError(t, l.append(second))
	length := l.size(t) - before
	for written := range length {
		dir := t.TempDir()
		l, err := OpenLedger(dir, l.tag, l.commit, l.now)
		require.NoError(t, err)
		require.NoError(t, l.append(first))
		l.disk = &fullDisk{File: l.file, left: written}
		require.ErrorIs(t, l.append(second), syscall.ENOSPC)
		l.disk = l.file
		require.ErrorIs(t, l.append(second), syscall.ENOSPC, "space is free again, but half a line stands there")
		require.NoError(t, l.Close())

		l = openLedger(t, dir)
		require.Len(t, l.Records(), 1, "cut at %d", written)
		require.EqualValues(t, written, l.Torn())
		require.NoError(t, l.append(second))
		again, _, err := ReadLedger(LedgerName, bytes.NewReader(l.bytes(t)))
		require.NoError(t, err, "cut at %d", written)
		require.Len(t, again, 2)
	}
}

func (l *Ledger) bytes(t *testing.T) []byte {
	t.Helper()
	data, err := os.ReadFile(l.file.Name())
	require.NoError(t, err)
	return data
}

func (l *Ledger) size(t *testing.T) int {
	t.Helper()
	return len(l.bytes(t))
}

// A line that is no record stops a release with the file, the line and a way out; nothing is cut for it.
func TestLedgersThatCannotBeRead(t *testing.T) {
	t.Parallel()
	record := func(event string) string {
		return `{"time":"2026-11-20T00:00:00Z","tag":"mero-kms-v1.2.0","commit":"0123456789abcdef0123456789abcdef01234567",` +
			`"step":"kms:e2e","event":"` + event + `"}`
	}
	good := record("intent") + "\n"
	with := func(old, other string) string { return strings.Replace(good, old, other, 1) }
	for name, c := range map[string]struct{ text, line, says string }{
		"not JSON":                    {good + "garbage\n" + good, "2", "invalid character 'g'"},
		"two records in a line":       {good + record("intent") + record("passed") + "\n", "2", "data after the end"},
		"half a record and a record":  {good + record("intent")[:90] + good, "2", "invalid character"},
		"an unknown event":            {record("maybe") + "\n", "1", `event "maybe" is not intent`},
		"of before effects had kinds": {record("effect") + "\n", "1", `event "effect" is not intent`},
		"an unknown kind": {with(`"event"`, `"kind":"bucket","subject":"a","event"`), "1",
			`kind "bucket" is not known`},
		"a subject of no kind": {with(`"event"`, `"subject":"a","event"`), "1", "no kind"},
		"no step":              {with("kms:e2e", ""), "1", "no step"},
		"an unknown field":     {`{"step":"a","colour":"red"}` + "\n", "1", "colour"},
		"a field twice":        {`{"step":"a","step":"b"}` + "\n", "1", "twice"},
		"an empty line":        {good + "\n" + good, "2", "EOF"},
		"zeros in the middle":  {good + "\x00\x00\x00\n" + good, "2", "invalid character"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			file := filepath.Join(dir, LedgerName)
			require.NoError(t, os.WriteFile(file, []byte(c.text), 0o600))
			_, err := OpenLedger(dir, "mero-kms-v1.2.0", "0123456789abcdef0123456789abcdef01234567", time.Now)
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, "line "+c.line+" of "+file+" is no record", f.Message)
			require.ErrorContains(t, f.Err, c.says)
			require.Contains(t, f.Hint, "move the file away")
			kept, err := os.ReadFile(file)
			require.NoError(t, err)
			require.Equal(t, c.text, string(kept), "nothing is cut")
		})
	}
}

func TestALedgerThatIsTooLarge(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), LedgerName)
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	require.NoError(t, os.Truncate(file, 17<<20))
	_, err := OpenLedger(filepath.Dir(file), "mero-kms-v1.2.0", "0123456789abcdef0123456789abcdef01234567", time.Now)
	require.ErrorContains(t, err, file+" is too large: it has more than 16777216 bytes")
	info, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 17<<20, info.Size(), "nothing is cut")
}

// A file system that crashed may leave zeros where the last line should be.
func TestZerosAtTheEndOfALedger(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := OpenLedger(dir, "mero-kms-v1.2.0", "0123456789abcdef0123456789abcdef01234567", time.Now)
	require.NoError(t, err)
	require.NoError(t, l.append(Record{Step: "kms:build", Event: Intent}))
	_, err = l.file.Write(make([]byte, 512))
	require.NoError(t, errors.Join(err, l.Close()))
	l = openLedger(t, dir)
	require.EqualValues(t, 512, l.Torn())
	require.Len(t, l.Records(), 1)
}

// What could not be read again is not written, and neither is its effect made: the ledger would stop every later run.
func TestWhatCouldNotBeReadAgainIsNotWritten(t *testing.T) {
	t.Parallel()
	huge := strings.Repeat("x", 5<<20)
	for name, r := range map[string]Record{
		"a subject without an end":   {Step: "kms:e2e", Event: Intent, Kind: journal.Upload, Subject: huge},
		"outputs without an end":     {Step: "kms:e2e", Event: Passed, Outputs: Digests{"file": huge}},
		"two names that become one":  {Step: "kms:e2e", Event: Passed, Outputs: Digests{"\xff": "a", "\xfe": "b"}},
		"a kind that nobody knows":   {Step: "kms:e2e", Event: Intent, Kind: "bucket", Subject: "a"},
		"an event that nobody knows": {Step: "kms:e2e", Event: "maybe"},
		"no step":                    {Event: Passed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			l, err := OpenLedger(dir, "mero-kms-v1.2.0", strings.Repeat("a", 40), time.Now)
			require.NoError(t, err)
			require.ErrorContains(t, l.append(r), "the ledger of mero-kms-v1.2.0 cannot be written")
			require.NoError(t, l.append(Record{Step: "kms:e2e", Event: Intent}), "nothing of it stands there")
			require.NoError(t, l.Close())
			records, err := ReadRecords(dir)
			require.NoError(t, err)
			require.Len(t, records, 1)
		})
	}
}

// An error may hold a whole answer of somebody else's: the ledger keeps its beginning.
func TestTheReasonOfAFailureIsCut(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLedger(t, dir)
	long := errors.New(strings.Repeat("ö", 5<<20))
	require.NoError(t, l.Journal("kms:e2e").End(journal.Upload, "a", long))
	run := &Run{Ledger: l, Console: console.New(io.Discard, false),
		Graph: Graph{{Name: "publish", Do: func(context.Context, *Work) error { return long }}}}
	require.ErrorIs(t, run.All(t.Context()), long)
	records, err := ReadRecords(dir)
	require.NoError(t, err)
	require.Equal(t, records, l.Records(), "what is remembered is what was written")
	require.Less(t, l.size(t), 100_000)
	require.True(t, strings.HasPrefix(records[0].Detail, "öööö"))
	require.True(t, strings.HasSuffix(records[0].Detail, "ö…"))
}

func TestALedgerThatIsFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := openLedger(t, dir)
	require.NoError(t, l.append(Record{Step: "kms:e2e", Event: Intent}))
	l.written = maxLedger - 10
	err := l.append(Record{Step: "kms:e2e", Event: Passed})
	require.ErrorContains(t, err, "more than 16777216 bytes")
	_, err = ReadRecords(dir)
	require.NoError(t, err)
}

// Whoever opened a ledger before another process put a new one in its place has no ledger any more.
func TestALedgerThatWasReplacedWhileItWasOpened(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, openAndClose(dir))
	f, err := os.OpenFile(filepath.Join(dir, LedgerName), os.O_RDWR, 0)
	require.NoError(t, err)
	defer f.Close()
	late := &Ledger{tag: "mero-kms-v1.2.0", commit: strings.Repeat("a", 40), now: time.Now, file: f}
	require.NoError(t, os.Remove(f.Name()))
	require.ErrorContains(t, late.load(), "another process works on mero-kms-v1.2.0", "it was removed")
	require.NoError(t, openAndClose(dir))
	require.ErrorContains(t, late.load(), "another process works on mero-kms-v1.2.0", "it is another one")
}

func openAndClose(dir string) error {
	l, err := OpenLedger(dir, "mero-kms-v1.2.0", strings.Repeat("a", 40), time.Now)
	if err != nil {
		return err
	}
	return l.Close()
}

// A file system that knows no locks is not another process.
func TestALedgerThatCannotBeLocked(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l, err := OpenLedger(dir, "mero-kms-v1.2.0", strings.Repeat("a", 40), time.Now)
	require.NoError(t, err)
	require.NoError(t, l.Close())
	err = l.load()
	require.ErrorIs(t, err, syscall.EBADF)
	require.NotContains(t, err.Error(), "another process")
}
