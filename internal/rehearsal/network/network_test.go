package network_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// echo answers with what a handler can tell hosts apart by.
func echo(name string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		fmt.Fprintf(w, "%s %s %s %s %s", name, r.Method, r.Host, r.URL.RequestURI(), body)
	})
}

func newNetwork(t *testing.T) *network.Network {
	t.Helper()
	n := network.New()
	t.Cleanup(func() { require.NoError(t, n.Close()) })
	return n
}

func get(t *testing.T, c *http.Client, url string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := c.Do(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp.StatusCode, string(body)
}

func TestTransportKeepsTheProductionURL(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	require.NoError(t, n.Handle("api.github.com", echo("github")))
	require.NoError(t, n.Handle("*.dstack.example", echo("gateway")))
	require.NoError(t, n.Handle("exact.dstack.example", echo("exact")))
	c := &http.Client{Transport: n.Transport()}
	for url, want := range map[string]string{
		"https://api.github.com/repos?page=2": "github GET api.github.com /repos?page=2 ",
		"http://api.github.com/":              "github GET api.github.com / ",
		"https://API.github.com:8443/x":       "github GET API.github.com:8443 /x ",
		"https://a-8080.dstack.example/":      "gateway GET a-8080.dstack.example / ",
		"https://exact.dstack.example/":       "exact GET exact.dstack.example / ",
	} {
		status, body := get(t, c, url)
		require.Equal(t, http.StatusOK, status, url)
		require.Equal(t, want, body, url)
	}
}

func TestRedirectBetweenHosts(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	require.NoError(t, n.Handle("github.com", http.RedirectHandler("https://assets.example/file", http.StatusFound)))
	require.NoError(t, n.Handle("assets.example", echo("assets")))
	resp, err := (&http.Client{Transport: n.Transport()}).Get("https://github.com/asset")
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "https://assets.example/file", resp.Request.URL.String())
}

func TestOutsideHostsAreRefused(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	require.NoError(t, n.Handle("*.dstack.example", echo("gateway")))
	c := &http.Client{Transport: n.Transport()}
	for _, url := range []string{
		"https://api.github.com/", "http://example.com", "http://192.0.2.1/", "https://[2001:db8::1]/",
		"https://dstack.example/", "https://a.b.dstack.example/", "http://127.0.0.1.example.com/",
	} {
		_, err := c.Get(url)
		require.ErrorIs(t, err, network.ErrOutside, url)
		require.ErrorContains(t, err, "the rehearsal reaches no outside host", url)
	}
}

func TestLoopbackPassesThrough(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	local := httptest.NewServer(echo("local"))
	t.Cleanup(local.Close)
	status, body := get(t, &http.Client{Transport: n.Transport()}, local.URL+"/x")
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, "local GET "+local.Listener.Addr().String()+" /x ", body)

	secure := httptest.NewUnstartedServer(echo("secure"))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	_, err := (&http.Client{Transport: n.Transport()}).Get(secure.URL)
	require.ErrorContains(t, err, "certificate", "a loopback TLS server is spoken to in TLS")
}

func TestURLAndSharedHandlers(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	shared := echo("shared")
	require.NoError(t, n.Handle("a.example", shared))
	require.NoError(t, n.Handle("b.example", shared))
	require.Empty(t, n.URL("c.example"))
	for _, host := range []string{"a.example", "b.example"} {
		require.Regexp(t, `^http://127\.0\.0\.1:\d+$`, n.URL(host))
		status, _ := get(t, http.DefaultClient, n.URL(host))
		require.Equal(t, http.StatusOK, status)
	}
}

func TestHandleRefuses(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	require.NoError(t, n.Handle("a.example", echo("a")))
	for host, want := range map[string]string{
		"a.example": "already has a handler", "A.Example": "already has a handler",
		"": "not a host name", "localhost": "not a host name", "127.0.0.1": "not a host name",
		"a.example:443": "not a host name",
	} {
		require.ErrorContains(t, n.Handle(host, echo("b")), want, host)
	}
}

func TestHandleLazy(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	var made atomic.Int32
	require.NoError(t, n.HandleLazy("lazy.example",
		func() (http.Handler, error) { made.Add(1); return echo("lazy"), nil }))
	require.NoError(t, n.HandleLazy("broken.example", func() (http.Handler, error) { return nil, errors.New("no seed") }))
	require.Zero(t, made.Load())
	c := &http.Client{Transport: n.Transport()}
	for range 2 {
		status, _ := get(t, c, "https://lazy.example/")
		require.Equal(t, http.StatusOK, status)
	}
	require.EqualValues(t, 1, made.Load())
	status, body := get(t, c, "https://broken.example/")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.Contains(t, body, "no seed")
}

func TestCloseWaitsForHandlers(t *testing.T) {
	t.Parallel()
	n := network.New()
	entered, left := make(chan struct{}), make(chan struct{})
	require.NoError(t, n.Handle("slow.example", http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	})))
	address := n.URL("slow.example")
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if resp, err := (&http.Client{Transport: n.Transport()}).Get("https://slow.example/"); err == nil {
			_ = resp.Body.Close()
		}
	}()
	<-entered
	require.NoError(t, n.Close())
	select {
	case <-left:
	default:
		t.Fatal("Close returned before the handler did")
	}
	<-answered
	require.NoError(t, n.Close(), "closing twice is harmless")
	require.ErrorIs(t, n.Handle("late.example", echo("late")), net.ErrClosed)
	_, err := n.Proxy()
	require.ErrorIs(t, err, net.ErrClosed)
	_, err = (&net.Dialer{}).DialContext(context.WithoutCancel(t.Context()), "tcp", address[len("http://"):])
	require.Error(t, err, "the port is free again")
}
