package kms

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

func requireBusy(t *testing.T, err error) {
	t.Helper()
	var no *refusal
	require.ErrorAs(t, err, &no)
	require.Equal(t, wire.RateLimited, no.tag)
	require.Equal(t, time.Second, no.retryAfter)
}

func TestALimiterBoundsWhatRunsAndWhatWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1)
		require.NoError(t, l.enter(t.Context()))
		began, ends := time.Now(), make(chan error, queued)
		for range queued {
			go func() { ends <- l.enter(t.Context()) }()
		}
		synctest.Wait()
		requireBusy(t, l.enter(t.Context()))
		require.Zero(t, time.Since(began), "a full queue refuses at once")

		l.leave()
		require.NoError(t, <-ends, "the next in line runs")
		for range queued - 1 {
			requireBusy(t, <-ends)
		}
		require.Equal(t, maxWait, time.Since(began), "nobody waits longer")
		l.leave()
		require.Empty(t, l.running)
		require.Empty(t, l.waiting)
	})
}

func TestALimiterForgetsWhoGaveUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(1)
		require.NoError(t, l.enter(t.Context()))
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan error, 1)
		go func() { gone <- l.enter(ctx) }()
		synctest.Wait()
		cancel()
		requireBusy(t, <-gone)
		require.Len(t, l.waiting, 1)
	})
}
