package hang_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/hang"
)

// within has a deadline of its own.
type within struct {
	testing.TB
	left time.Duration
}

func (w within) Deadline() (time.Time, bool) { return time.Now().Add(w.left), w.left > 0 }

func TestLimitIsMostOfWhatIsLeft(t *testing.T) {
	t.Parallel()
	limit := hang.Limit(within{t, time.Hour})
	require.Greater(t, limit, 50*time.Minute)
	require.Less(t, limit, time.Hour)
	require.Equal(t, 10*time.Minute, hang.Limit(within{t, 0}), "go test -timeout=0")
	require.Equal(t, 10*time.Minute, hang.Limit(struct{ testing.TB }{t}), "a benchmark has none")
}

func TestABubbleHasItsOwnClock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { require.Equal(t, 10*time.Minute, hang.Limit(t)) })
}

func TestContextEndsBeforeTheTestBinary(t *testing.T) {
	t.Parallel()
	ctx := hang.Context(within{t, time.Hour})
	end, ok := ctx.Deadline()
	require.True(t, ok)
	require.Less(t, time.Until(end), time.Hour)
	require.NoError(t, ctx.Err())
}
