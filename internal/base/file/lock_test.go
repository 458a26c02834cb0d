package file_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/file"
)

func TestOneHolderAtATime(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := file.Lock(t.Context(), dir)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 150*time.Millisecond)
	defer cancel()
	_, err = file.Lock(ctx, dir)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "another process works in "+dir)
	got := make(chan error, 1)
	go func() {
		again, err := file.Lock(t.Context(), dir)
		if err == nil {
			again()
		}
		got <- err
	}()
	unlock()
	require.NoError(t, <-got, "who waits gets it next")
	_, err = file.Lock(t.Context(), dir+"/absent")
	require.Error(t, err)
}
