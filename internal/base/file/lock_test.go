package file_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

func TestOneHolderAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := file.Lock(t.Context(), dir, func() { t.Error("nobody else works here") })
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	waits := 0
	_, err = file.Lock(ctx, dir, func() { waits++; cancel() })
	require.Equal(t, 1, waits, "it says so, once")
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "another process works in "+dir)
	got := make(chan error, 1)
	go func() {
		again, err := file.Lock(t.Context(), dir, nil)
		if err == nil {
			again()
		}
		got <- err
	}()
	unlock()
	require.NoError(t, <-got, "who waits gets it next")
	_, err = file.Lock(t.Context(), dir+"/absent", nil)
	require.Error(t, err)
}
