package gce_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/provider/gce"
)

func TestBusyAnswersAreRepeated(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]http.Handler{
		"429":            refuse(429, "rateLimitExceeded", "slow down"),
		"403 rate limit": refuse(403, "rateLimitExceeded", "Quota exceeded for quota metric 'Queries'"),
		"408":            refuse(408, "timeout", "late"),
		"500":            refuse(500, "backendError", "oops"),
		"502":            answer{status: 502, body: "<html>bad gateway"},
		"503":            refuse(503, "backendError", "oops"),
		"504":            refuse(504, "backendError", "oops"),
		"cut":            cut,
	} {
		w := newWorld(t, inTurn(busy, busy, busy, ok(`{"name":"x"}`)))
		got, err := w.client().Image(t.Context(), project, "x")
		require.NoError(t, err, name)
		require.Equal(t, "x", got.Name)
		require.Len(t, w.pauses, 3, name)
		between(t, 250*time.Millisecond, 500*time.Millisecond, w.pauses[0])
		between(t, 500*time.Millisecond, time.Second, w.pauses[1])
		between(t, time.Second, 2*time.Second, w.pauses[2])
	}
}

// Both pass when another operation has ended: a disk is in use until its VM is gone.
func TestResourcesThatChangeAreAskedForAgain(t *testing.T) {
	t.Parallel()
	for _, reason := range []string{"resourceNotReady", "resourceInUseByAnotherResource"} {
		refused := refuse(http.StatusBadRequest, reason, "The disk resource 'd' is already being used by 'i'")
		w := newWorld(t, inTurn(refused, refused, ok(`{"name":"operation-1","status":"DONE","kind":"compute#operation"}`)))
		require.NoError(t, w.client().DeleteDisk(t.Context(), "d"), reason)
		require.Len(t, w.pauses, 2, reason)
	}
}

func TestRepetitionsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t, refuse(503, "backendError", "Backend \x1b[31mError"))
	_, err := w.client().Image(t.Context(), project, "x")
	require.ErrorContains(t, err, "503 backendError: Backend  [31mError", "nothing that a terminal obeys")
	require.Len(t, w.said(&w.requests), 10, "the library repeats nothing by itself")
	var all time.Duration
	for _, d := range w.pauses {
		all += d
	}
	between(t, 60*time.Second, 123*time.Second, all)
}

func TestRetryAfterIsHonoured(t *testing.T) {
	t.Parallel()
	busy := refuse(429, "rateLimitExceeded", "slow down")
	busy.header = map[string]string{"Retry-After": "77"}
	w := newWorld(t, inTurn(busy, ok(`{"name":"x"}`)))
	_, err := w.client().Image(t.Context(), project, "x")
	require.NoError(t, err)
	require.Equal(t, []time.Duration{77 * time.Second}, w.pauses)

	busy.header = map[string]string{"Retry-After": "Mon, 23 Nov 2026 10:01:00 GMT",
		"Date": "Mon, 23 Nov 2026 10:00:00 GMT"}
	w = newWorld(t, inTurn(busy, ok(`{"name":"x"}`)))
	_, err = w.client().Image(t.Context(), project, "x")
	require.NoError(t, err)
	require.Equal(t, []time.Duration{time.Minute}, w.pauses)

	busy.header = map[string]string{"Retry-After": "3600"}
	w = newWorld(t, busy)
	_, err = w.client().Image(t.Context(), project, "x")
	require.ErrorContains(t, err, "1h0m0s")
	var f *fault.Error
	require.ErrorAs(t, err, &f)
	require.Contains(t, f.Hint, "every minute")
	require.Empty(t, w.pauses)

	busy.header = map[string]string{"Retry-After": "60"}
	w = newWorld(t, busy)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	_, err = w.client().Image(ctx, project, "x")
	require.ErrorContains(t, err, "1m0s", "a pause beyond the deadline is not begun")
	require.Empty(t, w.pauses)
}

func TestACancellationEndsTheRepetitions(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	w := newWorld(t, refuse(503, "backendError", "oops"))
	w.options.Wait = func(ctx context.Context, d time.Duration) error {
		cancel()
		return w.pause(ctx, d)
	}
	_, err := w.client().Image(ctx, project, "x")
	require.ErrorContains(t, err, "503")
	require.Len(t, w.pauses, 1)
}

func TestWithoutAWaitThereIsATimer(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inTurn(cut, ok(`{"name":"x"}`)))
	w.options.Wait = nil
	_, err := w.client().Image(t.Context(), project, "x")
	require.NoError(t, err)
}

func TestRefusalsAreTyped(t *testing.T) {
	t.Parallel()
	iam := answer{status: 403,
		body: `{"error":{"code":403,"message":"Permission denied.","errors":[{"reason":"forbidden"}],
		"details":[{"@type":"type.googleapis.com/google.rpc.ErrorInfo","reason":"IAM_PERMISSION_DENIED",
		"domain":"compute.googleapis.com",
		"metadata":{"permission":"compute.images.get"}}]}}`}
	for name, c := range map[string]struct {
		answer             answer
		code               fault.Code
		reason, permission string
		hint               string
	}{
		"quota": {refuse(403, "quotaExceeded", "Quota 'CPUS' exceeded"), fault.General, "quotaExceeded", "",
			"mage sweep"},
		"permission": {refuse(403, "forbidden", "Required 'compute.images.get' permission for 'projects/x'"), fault.Usage,
			"forbidden", "compute.images.get", "grant compute.images.get"},
		"IAM's details": {iam, fault.Usage, "IAM_PERMISSION_DENIED", "compute.images.get", "grant compute.images.get"},
		"API disabled": {refuse(403, "accessNotConfigured", "Compute Engine API has not been used"), fault.Usage,
			"accessNotConfigured", "", "gcloud services enable"},
		"no token": {refuse(401, "authError", "Invalid Credentials"), fault.Usage, "authError", "",
			"GCP_SERVICE_ACCOUNT_KEY"},
		"not found":   {refuse(404, "notFound", "The resource was not found"), fault.General, "notFound", "", ""},
		"bad request": {refuse(400, "invalid", "Invalid value"), fault.General, "invalid", "", ""},
		"conflict":    {refuse(409, "alreadyExists", "already exists"), fault.General, "alreadyExists", "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, c.answer)
			_, err := w.client().Image(t.Context(), project, "x")
			var r *gce.Refusal
			require.ErrorAs(t, err, &r)
			require.Equal(t, c.answer.status, r.Status)
			require.Equal(t, c.reason, r.Reason)
			require.Equal(t, c.permission, r.Permission)
			require.Equal(t, c.answer.status == 404, errorIsNotFound(err))
			var f *fault.Error
			require.ErrorAs(t, err, &f)
			require.Equal(t, c.code, f.Code)
			require.Contains(t, f.Hint, c.hint)
			require.Equal(t, c.hint == "", f.Hint == "")
			require.Len(t, w.said(&w.requests), 1, "another try cannot help")
		})
	}
}

func errorIsNotFound(err error) bool { return errors.Is(err, gce.ErrNotFound) }
