package network_test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
)

// child is a client as a child process has it: a proxy and a file of roots, nothing else.
func child(t *testing.T, n *network.Network) *http.Client {
	t.Helper()
	p, err := n.Proxy()
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(p.CertificatePEM))
	address, err := url.Parse(p.URL)
	require.NoError(t, err)
	transport := &http.Transport{Proxy: http.ProxyURL(address), TLSClientConfig: &tls.Config{RootCAs: roots}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func TestProxyReachesHandlersByProductionURLs(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	require.NoError(t, n.Handle("github.com", echo("github")))
	require.NoError(t, n.Handle("*.dstack.example", echo("gateway")))
	c := child(t, n)
	for address, want := range map[string]string{
		"https://github.com/a?b=c":        "github GET github.com /a?b=c ",
		"http://github.com/plain":         "github GET github.com /plain ",
		"https://github.com:8443/port":    "github GET github.com:8443 /port ",
		"https://x-8080.dstack.example/h": "gateway GET x-8080.dstack.example /h ",
	} {
		status, body := get(t, c, address)
		require.Equal(t, http.StatusOK, status, address)
		require.Equal(t, want, body, address)
	}
	resp, err := c.Post("https://github.com/upload", "text/plain", strings.NewReader("body"))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, "CN=mero-tee rehearsal host", resp.TLS.PeerCertificates[0].Subject.String())
}

func TestProxyInParallel(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	for i := range 4 {
		require.NoError(t, n.Handle(fmt.Sprintf("h%d.example", i), echo("h")))
	}
	c := child(t, n)
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			resp, err := c.Get(fmt.Sprintf("https://h%d.example/", i%4))
			if err == nil {
				err = resp.Body.Close()
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestProxyRefusesEverythingElse(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	require.NoError(t, n.Handle("github.com", echo("github")))
	c := child(t, n)
	status, body := get(t, c, "http://example.com/")
	require.Equal(t, http.StatusForbidden, status)
	require.Contains(t, body, "the rehearsal reaches no outside host: example.com")
	_, err := c.Get("https://example.com/")
	require.ErrorContains(t, err, "Forbidden", "CONNECT to an unknown host")
}

// A Go client never sends loopback addresses to its proxy, so these are written by hand.
func TestProxyIsNoWayBackToLoopback(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	p, err := n.Proxy()
	require.NoError(t, err)
	address := strings.TrimPrefix(p.URL, "http://")
	for _, request := range []string{
		"CONNECT " + address + " HTTP/1.1\r\nHost: " + address + "\r\n\r\n",
		"GET http://" + address + "/ HTTP/1.1\r\nHost: " + address + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: github.com\r\n\r\n",
	} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		_, err = conn.Write([]byte(request))
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, http.StatusForbidden, resp.StatusCode, request)
	}
}

func TestTunnelCannotChangeToAnUnknownHost(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	require.NoError(t, n.Handle("github.com", echo("github")))
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://github.com/", nil)
	require.NoError(t, err)
	req.Host = "example.com"
	resp, err := child(t, n).Do(req)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, http.StatusForbidden, resp.StatusCode)
}

// The client is the plain one: without the run's authority nothing is trusted.
func TestProxyCertificatesAreForThisRunOnly(t *testing.T) {
	t.Parallel()
	one, two := newNetwork(t), newNetwork(t)
	require.NoError(t, one.Handle("github.com", echo("github")))
	c := child(t, two)
	p, err := one.Proxy()
	require.NoError(t, err)
	address, err := url.Parse(p.URL)
	require.NoError(t, err)
	c.Transport.(*http.Transport).Proxy = http.ProxyURL(address)
	_, err = c.Get("https://github.com/")
	require.ErrorContains(t, err, "certificate signed by unknown authority")
}

func TestCloseEndsHalfOpenTunnels(t *testing.T) {
	t.Parallel()
	n := network.New()
	require.NoError(t, n.Handle("github.com", echo("github")))
	p, err := n.Proxy()
	require.NoError(t, err)
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", strings.TrimPrefix(p.URL, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	_, err = conn.Write([]byte("CONNECT github.com:443 HTTP/1.1\r\nHost: github.com:443\r\n\r\n"))
	require.NoError(t, err)
	status, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, status, "200")
	require.NoError(t, n.Close(), "a client that never shakes hands cannot hold Close up")
	_, err = conn.Read(make([]byte, 64))
	for err == nil { // the rest of the answer, then the end
		_, err = conn.Read(make([]byte, 64))
	}
	require.Error(t, err)
}
