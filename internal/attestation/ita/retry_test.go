package ita_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/attestation/ita"
	"github.com/calimero-network/mero-tee/internal/base/fault"
	local "github.com/calimero-network/mero-tee/internal/rehearsal/ita"
)

// inBubble runs f on a clock that only moves when everybody waits, in a year
// for which the certificates are valid.
func inBubble(t *testing.T, f func(t *testing.T, w *world)) {
	t.Helper()
	_, err := authority()
	require.NoError(t, err)
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(time.Until(time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)))
		f(t, newWorld(t, 4))
	})
}

// requirePauses allows the quarter that package retry adds by chance.
func requirePauses(t *testing.T, least, took time.Duration) {
	t.Helper()
	require.GreaterOrEqual(t, took, least)
	require.LessOrEqual(t, took, least*5/4)
}

func TestABusyServiceIsAskedAgain(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		w.service.Change(func(k *local.Faults) { k.Busy, k.Unavailable, k.RetryAfter = 2, 1, 7*time.Second })
		before := time.Now()
		_, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
		require.NoError(t, err)
		requirePauses(t, 21*time.Second, time.Since(before)) // Retry-After, three times
	})
}

func TestAServiceThatStaysAway(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		w.service.Change(func(k *local.Faults) { k.Unavailable = 100 })
		before := time.Now()
		_, err := w.client(t).Appraise(t.Context(), w.quote, w.ours)
		require.Equal(t, fault.General, fault.CodeOf(err), "no answer is no verdict")
		require.ErrorContains(t, err, "status 503")
		requirePauses(t, 7*time.Second, time.Since(before)) // 1, 2 and 4 seconds between four attempts

		_, err = w.client(t, func(c *ita.Config) { c.Transport = broken{} }).Appraise(t.Context(), w.quote, w.ours)
		require.Equal(t, fault.General, fault.CodeOf(err))
		require.ErrorIs(t, err, errNetwork)
	})
}

func TestALongRetryAfterIsReported(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		date := http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}
		for name, c := range map[string]*ita.Client{
			"seconds": w.client(t),
			"a date": w.client(t, func(c *ita.Config) {
				c.Transport = answering(c.Transport, http.StatusTooManyRequests, "", date)
			}),
		} {
			w.service.Change(func(k *local.Faults) { k.Busy, k.RetryAfter = 1, time.Hour })
			before := time.Now()
			_, err := c.Appraise(t.Context(), w.quote, w.ours)
			require.Equal(t, fault.General, fault.CodeOf(err), name)
			require.ErrorContains(t, err, "asked to wait 1h0m0s", name)
			require.Equal(t, before, time.Now(), name)
		}
	})
}

func TestWaitingEndsWithTheContext(t *testing.T) {
	t.Parallel()
	inBubble(t, func(t *testing.T, w *world) {
		w.service.Change(func(k *local.Faults) { k.Busy, k.RetryAfter = 100, 20*time.Second })
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		before := time.Now()
		_, err := w.client(t).Appraise(ctx, w.quote, w.ours)
		require.Equal(t, fault.General, fault.CodeOf(err))
		require.Equal(t, 5*time.Second, time.Since(before))
	})
}

// The keys and the lists may be out of reach when the token is not: no verdict either.
func TestThePortalIsAway(t *testing.T) {
	t.Parallel()
	for path, what := range map[string]string{"/certs": "its signing keys", "/crl/": "its revocations"} {
		inBubble(t, func(t *testing.T, w *world) {
			c := w.client(t, func(c *ita.Config) {
				c.Transport = around{c.Transport, func(r *http.Request) *http.Response {
					if strings.HasPrefix(r.URL.Path, path) {
						return &http.Response{StatusCode: http.StatusBadGateway, Body: http.NoBody, Request: r}
					}
					return nil
				}}
			})
			_, err := c.Appraise(t.Context(), w.quote, w.ours)
			require.Equal(t, fault.General, fault.CodeOf(err), path)
			require.ErrorContains(t, err, what)
		})
	}
}
