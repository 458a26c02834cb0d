package kms_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/hang"
	"github.com/calimero-network/mero-tee/internal/kms"
	"github.com/calimero-network/mero-tee/internal/release"
	"github.com/calimero-network/mero-tee/policies"
)

func newServer(t *testing.T, s *kms.Service) string {
	t.Helper()
	server := httptest.NewServer(s.Handler())
	t.Cleanup(server.Close)
	return server.URL
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	return l
}

func TestServeEndsRequestsUnderWay(t *testing.T) {
	t.Parallel()
	w := idle(t, nil)
	w.guest.hold = make(chan struct{})
	l := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- w.service.Serve(ctx, l) }()

	status := make(chan int, 1)
	go func() {
		body := `{"nonceB64":"` + base64.StdEncoding.EncodeToString(make([]byte, 32)) + `"}`
		resp, err := http.Post("http://"+l.Addr().String()+"/attest", "application/json", strings.NewReader(body))
		if err != nil {
			status <- 0
			return
		}
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		status <- resp.StatusCode
	}()
	<-w.guest.hold // the request is inside the guest agent
	stop()
	w.guest.hold <- struct{}{}
	require.Equal(t, http.StatusOK, <-status)
	require.NoError(t, <-served)
	_, err := net.Dial("tcp", l.Addr().String())
	require.Error(t, err, "the listener is closed")
}

func TestServeRefusesAStableVersionWithAPolicyThatIsNotReady(t *testing.T) {
	t.Parallel()
	w := idle(t, func(p *policies.Policy) { p.Status = policies.NotReady })
	ctx := hang.Context(t) // were it retried, it would be retried forever
	err := w.service.Serve(ctx, listen(t))
	require.Equal(t, fault.Verification, fault.CodeOf(err))
	require.ErrorContains(t, err, "policy_not_ready")
}

func TestServeReportsALostListener(t *testing.T) {
	t.Parallel()
	l := listen(t)
	require.NoError(t, l.Close())
	require.ErrorIs(t, idle(t, nil).service.Serve(t.Context(), l), net.ErrClosed)
}

func TestListen(t *testing.T) {
	t.Parallel()
	env := func(pairs ...string) func(string) (string, bool) {
		return func(name string) (string, bool) {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1], true
				}
			}
			return "", false
		}
	}
	l, err := kms.Listen("127.0.0.1:0", env())
	require.NoError(t, err)
	taken := l.Addr().String()
	_, err = kms.Listen(taken, env())
	require.Equal(t, fault.Usage, fault.CodeOf(err))
	require.NoError(t, l.Close())

	other, err := kms.Listen("127.0.0.1:0", env("LISTEN_FDS", "1", "LISTEN_PID", strconv.Itoa(os.Getpid()+1)))
	require.NoError(t, err, "a socket for another process is not ours")
	require.NoError(t, other.Close())

	_, err = kms.Listen("127.0.0.1:0", env("LISTEN_FDS", "2"))
	require.ErrorContains(t, err, "LISTEN_FDS")
}

// pipes is a listener whose connections are in memory, so that a test's clock rules their deadlines.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error { p.once.Do(func() { close(p.closed) }); return nil }

func (*pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// serving is a service of the bubble: dial connects to it, and stop waits for its end.
func serving(t *testing.T) (dial func() net.Conn, stop func() error) {
	t.Helper()
	c, err := kms.Load([]string{"MERO_KMS_VERSION=1.2.0", "MERO_KMS_PROFILE=debug",
		"MERO_KMS_POLICY_URL=file:///nonexistent/p.json"}, "/nonexistent")
	require.NoError(t, err)
	s := kms.New(c, kms.Parts{Transport: local{http.NotFoundHandler()}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	ctx, end := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.Serve(ctx, l) }()
	dial = func() net.Conn {
		client, server := net.Pipe()
		l.conns <- server
		return client
	}
	return dial, func() error { end(); return <-served }
}

// forChallenge is a whole request for a challenge.
func forChallenge() string {
	const body = `{"peerId":"12D3KooWGRUeSgCvZvRrKGS5EBtDDcjkCjUEvrkUZzbdZ9ZrCEpT"}`
	return fmt.Sprintf("POST /challenge HTTP/1.1\r\nHost: kms\r\nContent-Type: application/json\r\n"+
		"Content-Length: %d\r\n\r\n%s", len(body), body)
}

// challenged asks for a challenge, reads the whole answer, and gives its status.
func challenged(t *testing.T, node net.Conn) int {
	t.Helper()
	go func() { _, _ = io.WriteString(node, forChallenge()) }()
	resp, err := http.ReadResponse(bufio.NewReader(node), nil)
	require.NoError(t, err)
	_, err = io.Copy(io.Discard, resp.Body)
	require.NoError(t, err)
	require.NoError(t, node.Close())
	return resp.StatusCode
}

// Strangers who hold as many connections as there may be, and say nothing or half a request, keep no node waiting: the
// time is that of the bubble, in which their connections would end after five and fifteen seconds.
func TestSilentConnectionsKeepNobodyOut(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"nothing":       "",
		"half a header": "POST /challenge HTTP/1.1\r\nHost: k",
		"half a body": "POST /challenge HTTP/1.1\r\nHost: kms\r\nContent-Type: application/json\r\n" +
			"Content-Length: 99\r\n\r\n{",
		"one and then no": "GET /health HTTP/1.1\r\nHost: kms\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dial, stop := serving(t)
				began := time.Now()
				for range kms.MaxConnections + 100 {
					stranger := dial()
					t.Cleanup(func() { _ = stranger.Close() })
					go func() { _, _ = io.WriteString(stranger, says) }()
					go func() { _, _ = io.Copy(io.Discard, stranger) }()
				}
				synctest.Wait()
				for range 20 {
					require.NotEqual(t, http.StatusTooManyRequests, challenged(t, dial()))
				}
				require.Less(t, time.Since(began), time.Second)
				require.NoError(t, stop())
			})
		})
	}
}

// Who asks and does not read the answer is no more at work than who says nothing: what a service has to say may be
// larger than what lies between the two takes.
func TestStrangersWhoReadNoAnswerKeepNobodyOut(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		dial, stop := serving(t)
		began := time.Now()
		for range kms.MaxConnections + 100 {
			stranger := dial()
			t.Cleanup(func() { _ = stranger.Close() })
			go func() { _, _ = io.WriteString(stranger, forChallenge()) }()
		}
		synctest.Wait()
		challenged(t, dial())
		require.Less(t, time.Since(began), time.Second)
		require.NoError(t, stop())
	})
}

// Nor do they keep anybody from the metrics, of which there are fewer connections.
func TestSilentConnectionsKeepNobodyFromTheMetrics(t *testing.T) {
	t.Parallel()
	for name, says := range map[string]string{
		"nothing":       "",
		"half a header": "GET /metrics HTTP/1.1\r\nHost: k",
		"half a body":   "GET /metrics HTTP/1.1\r\nHost: k\r\nContent-Length: 9\r\n\r\n1",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := kms.New(kms.Config{Profile: release.Debug, PolicyURL: &url.URL{}},
					kms.Parts{Transport: local{http.NotFoundHandler()}, Now: time.Now, Log: slog.New(slog.DiscardHandler)})
				l := &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
				ctx, end := context.WithCancel(t.Context())
				served := make(chan error, 1)
				go func() { served <- s.ServeMetrics(ctx, l) }()
				began := time.Now()
				for range 64 {
					client, server := net.Pipe()
					t.Cleanup(func() { _ = client.Close() })
					select {
					case l.conns <- server:
					case <-time.After(2 * time.Second): // of the bubble: nobody accepts
						t.Fatal("the listener is full")
					}
					go func() { _, _ = io.WriteString(client, says) }()
					go func() { _, _ = io.Copy(io.Discard, client) }()
				}
				synctest.Wait()
				client, server := net.Pipe()
				l.conns <- server
				go func() { _, _ = io.WriteString(client, "GET /metrics HTTP/1.1\r\nHost: k\r\nConnection: close\r\n\r\n") }()
				resp, err := http.ReadResponse(bufio.NewReader(client), nil)
				require.NoError(t, err)
				_, err = io.Copy(io.Discard, resp.Body)
				require.NoError(t, err)
				require.Equal(t, http.StatusOK, resp.StatusCode)
				require.Less(t, time.Since(began), time.Second)
				end()
				require.NoError(t, <-served)
			})
		})
	}
}

func TestSlowAndIdleConnectionsAreCut(t *testing.T) {
	t.Parallel()
	const head = "POST /challenge HTTP/1.1\r\nHost: kms\r\nContent-Length: 10\r\n"
	for name, tc := range map[string]struct {
		says string
		cut  time.Duration
	}{
		"says nothing":    {"", 5 * time.Second},
		"half a header":   {head, 5 * time.Second},
		"half a body":     {head + "\r\n{", 15 * time.Second},
		"one and then no": {"GET /health HTTP/1.1\r\nHost: kms\r\n\r\n", 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				dial, stop := serving(t)
				client := dial()
				began := time.Now()
				go func() { _, _ = io.WriteString(client, tc.says) }()
				_, err := io.Copy(io.Discard, client) // until the service hangs up
				require.NoError(t, err)
				require.Equal(t, tc.cut, time.Since(began))
				require.NoError(t, stop())
			})
		})
	}
}
