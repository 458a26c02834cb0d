package retry_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// broken serves the beginning of an answer and then nothing any more.
func broken(t *testing.T, http2 bool) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		if r.URL.Path == "/hangs" {
			<-r.Context().Done()
		}
		panic(http.ErrAbortHandler)
	}))
	s.EnableHTTP2 = http2
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// An answer that breaks off is as lost as one that never came, whatever the connection calls it.
func TestHalfAnAnswerIsLost(t *testing.T) {
	t.Parallel()
	for _, http2 := range []bool{false, true} {
		for _, path := range []string{"/cut", "/hangs"} {
			t.Run(fmt.Sprintf("HTTP/2 %t %s", http2, path), func(t *testing.T) {
				t.Parallel()
				s := broken(t, http2)
				client := s.Client()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
				require.NoError(t, err)
				answer, err := client.Do(r)
				require.NoError(t, err)
				defer answer.Body.Close()
				require.Equal(t, http2, answer.ProtoMajor == 2)
				if path == "/hangs" {
					s.CloseClientConnections()
				}
				_, err = io.ReadAll(answer.Body)
				require.Error(t, err)
				class, _ := retry.HTTP(fmt.Errorf("reading: %w", err))
				require.NotNil(t, class, "%T: %v", err, err)
			})
		}
	}
}

func TestAnAnswerThatTakesTooLongIsLost(t *testing.T) {
	t.Parallel()
	s := broken(t, false)
	client := s.Client()
	client.Timeout = 100 * time.Millisecond
	answer, err := client.Get(s.URL + "/hangs")
	if err == nil { // else it took too long before the first byte
		defer answer.Body.Close()
		_, err = io.ReadAll(answer.Body)
	}
	require.True(t, retry.Lost(err), "%T: %v", err, err)
}

// A full disk, a file that is not there and what was refused are no connection's fault.
func TestWhatIsNotLost(t *testing.T) {
	t.Parallel()
	_, absent := os.ReadFile("/does/not/exist")
	for _, err := range []error{absent, &os.PathError{Op: "write", Path: "a", Err: syscall.ENOSPC}, syscall.EIO, io.EOF,
		errFinal} {
		require.False(t, retry.Lost(err), "%v", err)
	}
}
