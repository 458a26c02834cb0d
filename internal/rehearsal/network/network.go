// Package network is the rehearsal's closed network: the production host names,
// answered by handlers on loopback.
//
// Its promise: a request for a host that was handed a handler reaches that
// handler with its production URL and Host header untouched, and a request for
// any other host goes nowhere. Artifacts that name hosts are therefore the same
// bytes in a rehearsal and in production, whatever ports are free.
package network

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"
)

// ErrOutside is what every request for an unknown host fails with.
var ErrOutside = errors.New("the rehearsal reaches no outside host")

// Network routes host names to handlers. The zero value is not usable: call New.
type Network struct {
	mu        sync.Mutex
	routes    map[string]*service
	services  []*service
	transport *transport
	proxy     func() (*proxy, error)
	closed    bool
}

// New is a network without hosts.
func New() *Network {
	n := &Network{routes: map[string]*service{}}
	n.transport = newTransport(n.address)
	n.proxy = sync.OnceValues(n.startProxy)
	return n
}

// Handle starts a server on a free loopback port and routes host to it.
// A host that begins with "*." stands for every name one label below it, as a
// gateway serves them; an exact name wins over it. A host has one handler.
func (n *Network) Handle(host string, h http.Handler) error {
	host = strings.ToLower(host)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		return fmt.Errorf("host %q: %w", host, net.ErrClosed)
	}
	if host == "" || loopback(host) || strings.ContainsAny(host, ":/ ") {
		return fmt.Errorf("%q is not a host name that a rehearsal can take over", host)
	}
	if n.routes[host] != nil {
		return fmt.Errorf("host %q already has a handler", host)
	}
	s, err := serve(h)
	if err != nil {
		return fmt.Errorf("host %q: %w", host, err)
	}
	n.routes[host] = s
	n.services = append(n.services, s)
	return nil
}

// HandleLazy is Handle for a handler that is made at its first request, once.
// When making it fails, every request is answered 503 with the error's text.
func (n *Network) HandleLazy(host string, make func() (http.Handler, error)) error {
	once := sync.OnceValues(make)
	return n.Handle(host, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h, err := once()
		if err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		h.ServeHTTP(w, r)
	}))
}

// Transport carries requests for known hosts (http or https, any port) to
// their handlers and those for loopback addresses as they are; all others fail
// with ErrOutside. It ignores proxies of the environment.
func (n *Network) Transport() http.RoundTripper { return n.transport.http }

// URL is "http://127.0.0.1:port" of the server behind host, "" when host is unknown.
func (n *Network) URL(host string) string {
	address, ok := n.address(host)
	if !ok {
		return ""
	}
	return "http://" + address
}

// address finds the loopback address behind host.
func (n *Network) address(host string) (string, bool) {
	host = strings.ToLower(host)
	n.mu.Lock()
	defer n.mu.Unlock()
	s := n.routes[host]
	if _, parent, ok := strings.Cut(host, "."); s == nil && ok {
		s = n.routes["*."+parent]
	}
	if s == nil {
		return "", false
	}
	return s.address, true
}

// Close stops every server, waits until each handler has returned, and drops
// the idle connections. Requests made afterwards fail.
func (n *Network) Close() error {
	n.mu.Lock()
	if n.closed {
		n.mu.Unlock()
		return nil
	}
	n.closed = true
	services := n.services
	n.mu.Unlock()
	defer n.transport.http.CloseIdleConnections()
	var errs []error
	for _, s := range services {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}

const readHeaderTimeout = 10 * time.Second

// service is one HTTP server whose close waits for its handlers:
// http.Server.Close does not, and Shutdown waits five seconds for connections
// that were opened and never used.
type service struct {
	address string
	server  *http.Server
	cancel  context.CancelFunc // ends every request's context, hijacked ones too
	stopped chan error

	mu     sync.Mutex
	closed bool
	active sync.WaitGroup
}

// serve listens on a free port of 127.0.0.1.
func serve(h http.Handler) (*service, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	return serveOn(l, h), nil
}

// Serve serves h on l, and returns what ends that and waits for its handlers.
func Serve(l net.Listener, h http.Handler) io.Closer { return serveOn(l, h) }

// ListenUnix binds the socket name in folder, which every user may then connect
// to. It does so through the folder's descriptor: the full path may be longer
// than the 108 bytes that a Unix address holds.
func ListenUnix(folder *os.File, name string) (net.Listener, error) {
	path := fmt.Sprintf("/proc/self/fd/%d/%s", folder.Fd(), name)
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false)       // the descriptor may be another folder's by then
	return l, os.Chmod(path, 0o666) //nolint:gosec // a socket
}

func serveOn(l net.Listener, h http.Handler) *service {
	ctx, cancel := context.WithCancel(context.Background())
	s := &service{address: l.Addr().String(), cancel: cancel, stopped: make(chan error, 1)}
	s.server = &http.Server{
		Handler:           s.counted(h),
		ReadHeaderTimeout: readHeaderTimeout,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	go func() { s.stopped <- s.server.Serve(l) }()
	return s
}

// enter counts a handler in, unless the service is closing.
func (s *service) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.active.Add(1)
	return true
}

func (s *service) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			panic(http.ErrAbortHandler)
		}
		defer s.active.Done()
		h.ServeHTTP(w, r)
	})
}

// Close ends every request's context and waits for the handlers.
func (s *service) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.cancel()
	err := s.server.Close()
	if served := <-s.stopped; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	s.active.Wait()
	return err
}
