package retry_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

var (
	errBusy, errLimit, errFinal = errors.New("busy"), errors.New("limit"), errors.New("final")

	busy  = &retry.Class{}
	limit = &retry.Class{Attempts: 3, Least: time.Minute}
)

// asking judges errBusy and errLimit as passing; the server asks for a pause.
func asking(pause time.Duration) retry.Judge {
	return func(err error) (*retry.Class, time.Duration) {
		return map[error]*retry.Class{errBusy: busy, errLimit: limit}[err], pause
	}
}

func seconds(values ...int) (out []time.Duration) {
	for _, s := range values {
		out = append(out, time.Duration(s)*time.Second)
	}
	return out
}

func times(n int, err error) (out []error) {
	for range n {
		out = append(out, err)
	}
	return out
}

func TestPolicy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy retry.Policy
		fails  []error // one after the other, then success
		asked  time.Duration
		pauses []time.Duration
		want   string // in the error; empty for success
	}{
		"success":      {policy: retry.Usual()},
		"pauses grow":  {policy: retry.Usual(), fails: times(3, errBusy), pauses: seconds(1, 2, 4)},
		"attempts end": {policy: retry.Usual(), fails: times(9, errBusy), pauses: seconds(1, 2, 4), want: "busy"},
		"a final failure": {policy: retry.Usual(), fails: []error{errBusy, errFinal},
			pauses: seconds(1), want: "final"},
		"another factor": {policy: retry.Policy{First: time.Second, Factor: 3}, fails: times(3, errBusy),
			pauses: seconds(1, 3, 9)},
		"they grow to a limit": {policy: retry.Policy{First: time.Second, Most: 3 * time.Second}, fails: times(4, errBusy),
			pauses: seconds(1, 2, 3, 3)},
		"no limit of attempts": {policy: retry.Policy{Most: time.Second}, fails: times(50, errBusy),
			pauses: make([]time.Duration, 50)},
		"the least of a class": {policy: retry.Usual(), fails: times(2, errLimit), pauses: seconds(60, 120)},
		"the attempts of a class": {policy: retry.Usual(), fails: times(3, errLimit),
			pauses: seconds(60, 120), want: "limit"},
		"the least above the most": {policy: retry.Policy{First: 1, Most: time.Second}, fails: times(2, errLimit),
			pauses: seconds(60, 60)},
		"each class counts for itself": {policy: retry.Usual(), fails: []error{errBusy, errLimit, errBusy, errLimit, errBusy},
			pauses: seconds(1, 60, 4, 120, 16)},
		"what is asked": {policy: retry.Usual(), fails: times(2, errBusy), asked: 77 * time.Second,
			pauses: seconds(77, 77)},
		"less than the schedule": {policy: retry.Usual(), fails: times(3, errBusy), asked: 3 * time.Second,
			pauses: seconds(3, 3, 4)},
		"more than is allowed": {policy: retry.Usual(), fails: times(1, errBusy), asked: time.Hour,
			want: "asked to wait 1h0m0s, longer than 2m0s: busy"},
		"the total": {policy: retry.Policy{First: time.Second, Total: 3 * time.Second}, fails: times(9, errBusy),
			pauses: seconds(1, 2), want: "only after 4s, which is too late: busy"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var pauses []time.Duration
			tc.policy.Wait = func(ctx context.Context, d time.Duration) error { pauses = append(pauses, d); return ctx.Err() }
			asked := 0
			err := tc.policy.Do(t.Context(), func(attempt int) error {
				require.Equal(t, asked, attempt)
				if asked++; attempt < len(tc.fails) {
					return tc.fails[attempt]
				}
				return nil
			}, asking(tc.asked))
			require.Equal(t, tc.pauses, pauses)
			require.Equal(t, len(pauses)+1, asked)
			if tc.want == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tc.want)
			require.ErrorIs(t, err, tc.fails[asked-1], "what failed at last is returned")
		})
	}
}

// A pause is never shorter than what was asked, and seldom the same twice.
func TestPausesDifferByChance(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		seen := map[time.Duration]bool{}
		for range 100 {
			begin := time.Now()
			require.NoError(t, retry.Policy{}.Pause(t.Context(), time.Second))
			took := time.Since(begin)
			require.GreaterOrEqual(t, took, time.Second)
			require.LessOrEqual(t, took, time.Second*5/4)
			seen[took] = true
		}
		require.Greater(t, len(seen), 50)
	})
}

func TestDoEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	waits := 0
	p := retry.Policy{First: time.Second,
		Wait: func(ctx context.Context, _ time.Duration) error { waits++; cancel(); return ctx.Err() }}
	always := func(int) error { return errBusy }
	err := p.Do(ctx, always, asking(time.Hour))
	require.ErrorContains(t, err, "too late: busy", "a pause beyond the deadline is not begun")
	require.Zero(t, waits)
	require.Equal(t, errBusy, p.Do(ctx, always, asking(0)), "cancelled in the pause")
	require.Equal(t, 1, waits)
	require.Equal(t, errBusy, p.Do(ctx, always, asking(0)), "cancelled before")
	require.Equal(t, 1, waits)
}

func TestUntil(t *testing.T) {
	t.Parallel()
	var pauses []time.Duration
	p := retry.Policy{First: time.Second, Most: 3 * time.Second, Total: 10 * time.Second,
		Wait: func(ctx context.Context, d time.Duration) error { pauses = append(pauses, d); return ctx.Err() }}
	never := func() (bool, error) { return false, nil }
	require.ErrorIs(t, p.Until(t.Context(), "it", never), context.DeadlineExceeded)
	require.Equal(t, seconds(1, 2, 3, 3, 3), pauses)
	require.Equal(t, errFinal, p.Until(t.Context(), "it", func() (bool, error) { return false, errFinal }))
	require.NoError(t, p.Until(t.Context(), "it", func() (bool, error) { return true, nil }))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, p.Until(ctx, "it", never), context.Canceled)
}

func TestAfter(t *testing.T) {
	t.Parallel()
	const date, later = "Mon, 23 Nov 2026 10:00:00 GMT", "Mon, 23 Nov 2026 10:01:00 GMT"
	for name, tc := range map[string]struct {
		header http.Header
		want   time.Duration
	}{
		"absent":               {http.Header{}, 0},
		"seconds":              {http.Header{"Retry-After": {"77"}}, 77 * time.Second},
		"no seconds":           {http.Header{"Retry-After": {"0"}}, 0},
		"negative":             {http.Header{"Retry-After": {"-5"}}, 0},
		"more than a duration": {http.Header{"Retry-After": {"999999999999"}}, (1 << 20) * time.Second},
		"a date":               {http.Header{"Retry-After": {later}, "Date": {date}}, time.Minute},
		"a date that is past":  {http.Header{"Retry-After": {date}, "Date": {later}}, 0},
		"a date, by our clock": {http.Header{"Retry-After": {"Mon, 23 Nov 2020 10:00:00 GMT"}}, 0},
		"no date":              {http.Header{"Retry-After": {"soon"}}, 0},
	} {
		require.Equal(t, tc.want, retry.After(tc.header), name)
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	answer := func(status int) error {
		return retry.Refused(&http.Response{StatusCode: status, Status: http.StatusText(status),
			Header: http.Header{"Retry-After": {"7"}}})
	}
	require.NoError(t, answer(http.StatusOK))
	for _, status := range []int{408, 429, 500, 502, 503, 504} {
		class, asked := retry.HTTP(answer(status))
		require.NotNil(t, class, status)
		require.Equal(t, 7*time.Second, asked)
	}
	for _, status := range []int{301, 400, 401, 403, 404, 409, 422} {
		class, _ := retry.HTTP(answer(status))
		require.Nil(t, class, status)
	}
	class, _ := retry.HTTP(&url.Error{Err: errors.New("no route")})
	require.NotNil(t, class)
	class, _ = retry.HTTP(errFinal)
	require.Nil(t, class)
}
