package retry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

func TestForWaitsOrEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		require.NoError(t, retry.For(t.Context(), time.Minute))
		require.Equal(t, time.Minute, time.Since(begin))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, retry.For(ctx, time.Minute), context.DeadlineExceeded)
		require.Equal(t, time.Minute+time.Second, time.Since(begin))
		ctx, cancel = context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		require.ErrorIs(t, retry.For(ctx, time.Minute), context.Canceled)
		require.Equal(t, time.Minute+2*time.Second, time.Since(begin))
	})
}

func TestFitsBeforeADeadlineOnly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		require.True(t, retry.Fits(t.Context(), time.Hour), "no deadline")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		require.True(t, retry.Fits(ctx, time.Minute-1))
		require.False(t, retry.Fits(ctx, time.Minute), "it would end together with the pause")
	})
}
