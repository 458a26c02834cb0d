package pipeline

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/console"
	"github.com/calimero-network/mero-tee/internal/base/journal"
)

func openLedger(t *testing.T, dir string) *Ledger {
	t.Helper()
	l, err := OpenLedger(dir, "mero-kms-v1.2.0", "0123456789abcdef0123456789abcdef01234567", time.Now)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.Close()) })
	return l
}

// full lets every write fail as on a full disk.
func (l *Ledger) full(t *testing.T) {
	t.Helper()
	f, err := os.OpenFile("/dev/full", os.O_RDWR, 0)
	require.NoError(t, err)
	l.file, f = f, l.file
	require.NoError(t, f.Close())
}

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
					l.full(t)
					return w.Do(journal.Upload, "b", upload)
				}}}}
			if !tc.begins {
				l.full(t)
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
	j := l.journal("kms:e2e")
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

// Ledgers of before 2026-11-26 had their effects in free text.
func TestALedgerOfAnEarlierFormat(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	line := `{"time":"2026-11-20T00:00:00Z","tag":"mero-kms-v1.2.0","commit":"0123456789abcdef0123456789abcdef01234567",` +
		`"step":"kms:e2e","event":"effect","detail":"deploy begins a"}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, LedgerName), []byte(line), 0o600))
	_, err := OpenLedger(dir, "mero-kms-v1.2.0", "0123456789abcdef0123456789abcdef01234567", time.Now)
	require.EqualError(t, err, "line 1 of the ledger of mero-kms-v1.2.0 is of another format")
}
