package github

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestATransferEndsWhenNothingMoves(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		ctx, p := watch(t.Context())
		defer p.stop()
		body := p.body(io.NopCloser(bytes.NewReader(make([]byte, 100))))
		for range 100 { // slow, but moving: 99 minutes
			_, err := body.Read(make([]byte, 1))
			require.NoError(t, err)
			time.Sleep(maxIdle - time.Second)
			require.NoError(t, ctx.Err())
		}
		<-ctx.Done()
		require.Equal(t, 100*(maxIdle-time.Second)+time.Second, time.Since(begin))
		require.ErrorIs(t, p.cause(errors.New("context canceled")), errStalled)
		class, asked := judge(errStalled)
		require.Same(t, overloaded, class, "it is tried again")
		require.Zero(t, asked)
	})
}
