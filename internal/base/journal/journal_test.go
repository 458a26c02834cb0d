package journal_test

import (
	"errors"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/journal"
)

func TestDo(t *testing.T) {
	t.Parallel()
	effect := errors.New("no such vm")
	for name, tc := range map[string]struct {
		full   string // the entry that cannot be written
		effect error
		want   []string
		errs   []error
	}{
		"an effect that ends": {want: []string{"begin vm x", "effect", "end vm x"}},
		"one that breaks off": {effect: effect, want: []string{"begin vm x", "effect", "break off vm x"},
			errs: []error{effect}},
		"an intent that is not on disk": {full: "begin vm x", errs: []error{syscall.ENOSPC}},
		"an end that is not on disk": {full: "end vm x", want: []string{"begin vm x", "effect"},
			errs: []error{syscall.ENOSPC}},
		"neither the effect nor its end": {full: "break off vm x", effect: effect, want: []string{"begin vm x", "effect"},
			errs: []error{effect, syscall.ENOSPC}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []string
			j := journal.Journal(func(e journal.Entry) error {
				if e.String() == tc.full {
					return syscall.ENOSPC
				}
				got = append(got, e.String())
				return nil
			})
			err := j.Do(journal.VM, "x", func() error { got = append(got, "effect"); return tc.effect })
			require.Equal(t, tc.want, got)
			require.Equal(t, len(tc.errs) == 0, err == nil)
			for _, want := range tc.errs {
				require.ErrorIs(t, err, want)
			}
		})
	}
}

func TestWithoutAJournal(t *testing.T) {
	t.Parallel()
	done := false
	require.NoError(t, journal.Journal(nil).Do(journal.VM, "x", func() error { done = true; return nil }))
	require.True(t, done)
}
