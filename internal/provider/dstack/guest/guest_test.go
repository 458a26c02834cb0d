package guest_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/provider/dstack/guest"
)

// serve answers every call on a Unix socket of its own with h.
func serve(t *testing.T, h http.HandlerFunc) *guest.Client {
	t.Helper()
	dir, err := os.MkdirTemp("", "guest") // t.TempDir may exceed the 108 bytes of a socket's path
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	l, err := net.Listen("unix", filepath.Join(dir, "s"))
	require.NoError(t, err)
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	srv.Start()
	t.Cleanup(srv.Close)
	c := guest.New(l.Addr().String())
	t.Cleanup(c.Close)
	return c
}

func answer(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

func TestCalls(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var args map[string]string
		if r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" ||
			json.Unmarshal(body, &args) != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		switch r.URL.Path {
		case "/GetQuote":
			_ = json.NewEncoder(w).Encode(map[string]string{"quote": args["report_data"], "event_log": `[{"imr":3}]`,
				"vm_config": "{}", "report_data": args["report_data"]})
		case "/GetKey":
			sum := hex.EncodeToString([]byte(args["path"] + "|" + args["purpose"] + "|" + args["algorithm"]))
			_ = json.NewEncoder(w).Encode(map[string]any{"key": (sum + strings.Repeat("00", 32))[:64],
				"signature_chain": []string{"aa"}})
		case "/Info":
			_, _ = io.WriteString(w, `{"app_id":"ab","instance_id":"cd","compose_hash":"ef","added_later":1}`)
		}
	})
	q, err := c.Quote(t.Context(), [64]byte{1, 2, 3})
	require.NoError(t, err)
	require.Equal(t, append([]byte{1, 2, 3}, make([]byte, 61)...), q.Raw)
	require.JSONEq(t, `[{"imr":3}]`, string(q.EventLog))
	require.Equal(t, "{}", q.VMConfig)

	key, err := c.Key(t.Context(), "a/b/c", "x")
	require.NoError(t, err)
	require.Equal(t, "a/b/c|x|secp256k1", string(bytes.TrimRight(key, "\x00")))

	info, err := c.Info(t.Context())
	require.NoError(t, err)
	require.Equal(t, guest.Info{AppID: "ab", InstanceID: "cd", ComposeHash: "ef"}, *info)
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	huge := `{"quote":"` + strings.Repeat("00", 2<<20) + `"}`
	for name, tc := range map[string]struct {
		status int
		body   string
		want   string
	}{
		"refusal with words":    {500, `{"error":"no TDX here"}`, "answered 500: no TDX here"},
		"refusal without words": {404, `<html>`, "answered 404: Not Found"},
		"not JSON":              {200, `hello`, "not the JSON expected"},
		"quote not hex":         {200, `{"quote":"zz","event_log":"[]"}`, "not hex"},
		"no quote":              {200, `{"event_log":"[]"}`, "not hex"},
		"event log not JSON":    {200, `{"quote":"00","event_log":"["}`, "event log is not JSON"},
		"oversized":             {200, huge, "larger than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := serve(t, answer(tc.status, tc.body)).Quote(t.Context(), [64]byte{})
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestKeyErrorsHoldNoKeyMaterial(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("5ec2e7", 8)
	for _, body := range []string{`{"key":"` + secret + `"}`, `{"key":["` + secret + `"]}`, `"` + secret} {
		_, err := serve(t, answer(200, body)).Key(t.Context(), "p", "")
		require.Error(t, err)
		require.NotContains(t, err.Error(), "5ec2e7")
	}
	_, err := serve(t, answer(200, "{}")).Key(t.Context(), "p", "")
	require.ErrorContains(t, err, "not 32 bytes of hex")
}

func TestRefusalIsTyped(t *testing.T) {
	t.Parallel()
	_, err := serve(t, answer(503, `{"error":"`+strings.Repeat("x", 5000)+`"}`)).Info(t.Context())
	var refused *guest.Error
	require.ErrorAs(t, err, &refused)
	require.Equal(t, 503, refused.Status)
	require.Len(t, refused.Message, 200)
}

func TestDeadlineAndAbsence(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	hung := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		cancel() // the caller gives up while the agent hangs
		<-r.Context().Done()
	})
	_, err := hung.Info(ctx)
	require.ErrorIs(t, err, context.Canceled)

	_, err = guest.New(filepath.Join(t.TempDir(), "none")).Info(t.Context())
	require.ErrorIs(t, err, os.ErrNotExist)
}
