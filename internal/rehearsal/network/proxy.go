package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"
)

// Proxy is how a child process reaches the network: URL for HTTP_PROXY and
// HTTPS_PROXY, CertificatePEM for the file that SSL_CERT_FILE names.
type Proxy struct {
	URL            string
	CertificatePEM []byte
}

// Proxy starts, once, an HTTP proxy on loopback. It forwards absolute-form
// requests, answers CONNECT by ending TLS itself with a certificate minted
// under an authority that lives as long as the Network, and refuses every host
// that has no handler, loopback addresses too.
func (n *Network) Proxy() (Proxy, error) {
	p, err := n.proxy()
	if err != nil {
		return Proxy{}, err
	}
	return Proxy{URL: "http://" + p.address, CertificatePEM: p.authority.pem}, nil
}

type proxy struct {
	address   string
	known     func(host string) bool
	authority *authority
	forward   *httputil.ReverseProxy
	tunnels   *tunnels
}

func (n *Network) startProxy() (*proxy, error) {
	ca, err := newAuthority()
	if err != nil {
		return nil, err
	}
	p := &proxy{authority: ca, tunnels: newTunnels()}
	p.known = func(host string) bool { _, ok := n.address(host); return ok }
	p.forward = &httputil.ReverseProxy{
		Rewrite:       func(*httputil.ProxyRequest) {}, // URL and Host go on as they came
		Transport:     n.transport.http,
		FlushInterval: -1,
		ErrorHandler:  refuse,
	}
	outer, err := serve(http.HandlerFunc(p.outer))
	if err != nil {
		return nil, err
	}
	p.address = outer.address
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return nil, errors.Join(net.ErrClosed, outer.Close())
	}
	n.services = append(n.services, outer, serveOn(p.tunnels, http.HandlerFunc(p.inner)))
	return p, nil
}

// outer serves the proxy's own port.
func (p *proxy) outer(w http.ResponseWriter, r *http.Request) {
	switch {
	case !p.known(r.URL.Hostname()):
		refuse(w, r, fmt.Errorf("%w: %s", ErrOutside, r.URL.Hostname()))
	case r.Method == http.MethodConnect:
		p.connect(w, r)
	default:
		Forward(p.forward, w, r)
	}
}

// inner serves requests that came through a tunnel: they name their host only in the Host header.
func (p *proxy) inner(w http.ResponseWriter, r *http.Request) {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	if !p.known(host) {
		refuse(w, r, fmt.Errorf("%w: %s", ErrOutside, host))
		return
	}
	r.URL.Scheme, r.URL.Host = "https", r.Host
	Forward(p.forward, w, r)
}

func (p *proxy) connect(w http.ResponseWriter, r *http.Request) {
	leaf, err := p.authority.leaf(r.URL.Hostname())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	secure := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*leaf}, MinVersion: tls.VersionTLS12})
	if err := established(r.Context(), conn, secure); err != nil || !p.tunnels.offer(secure) {
		_ = conn.Close()
	}
}

// established answers the CONNECT and shakes hands within the header timeout.
func established(ctx context.Context, conn net.Conn, secure *tls.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, readHeaderTimeout)
	defer cancel()
	if err := conn.SetDeadline(time.Now().Add(readHeaderTimeout)); err != nil {
		return err
	}
	if _, err := conn.Write([]byte("HTTP/1.1 200 Connection established\r\n\r\n")); err != nil {
		return err
	}
	if err := secure.HandshakeContext(ctx); err != nil {
		return err
	}
	return conn.SetDeadline(time.Time{})
}

func refuse(w http.ResponseWriter, _ *http.Request, err error) {
	status := http.StatusBadGateway
	if errors.Is(err, ErrOutside) {
		status = http.StatusForbidden
	}
	http.Error(w, strings.TrimSpace(err.Error()), status)
}

// Forward is p.ServeHTTP for requests with a body. Without full duplex net/http
// closes the request's body as soon as the answer begins; if the proxy has not
// yet seen that body's end, it then takes its request for broken and cuts the
// answer off: 2 of 36,000 requests to /attest ended so (2026-11-25).
func Forward(p *httputil.ReverseProxy, w http.ResponseWriter, r *http.Request) {
	_ = http.NewResponseController(w).EnableFullDuplex() // HTTP/2 always is
	p.ServeHTTP(w, r)
}

// tunnels is the net.Listener of the connections whose TLS the proxy ended.
type tunnels struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newTunnels() *tunnels {
	return &tunnels{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (t *tunnels) offer(c net.Conn) bool {
	select {
	case t.conns <- c:
		return true
	case <-t.done:
		return false
	}
}

// Accept waits for the next tunnel.
func (t *tunnels) Accept() (net.Conn, error) {
	select {
	case c := <-t.conns:
		return c, nil
	case <-t.done:
		return nil, net.ErrClosed
	}
}

// Close makes Accept and offer give up.
func (t *tunnels) Close() error {
	t.once.Do(func() { close(t.done) })
	return nil
}

// Addr is a name for logs; nothing dials it.
func (t *tunnels) Addr() net.Addr { return &net.UnixAddr{Name: "rehearsal tunnels", Net: "unix"} }
