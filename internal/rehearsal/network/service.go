package network

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
)

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

func (s *service) close() error {
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
