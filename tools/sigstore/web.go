package main

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"
)

// maxRequest is the largest request body that any party here reads, in bytes.
const maxRequest = 1 << 20

// web is the set of HTTP servers of an instance, each on a free loopback port.
type web struct {
	servers []*http.Server
	failed  chan error
}

func newWeb() *web { return &web{failed: make(chan error, 1)} }

// serve returns the address, without a slash at its end.
func (w *web) serve(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	s := &http.Server{Handler: http.MaxBytesHandler(h, maxRequest), ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second}
	w.servers = append(w.servers, s)
	go func() {
		if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			select {
			case w.failed <- err:
			default:
			}
		}
	}()
	return "http://" + l.Addr().String(), nil
}

// close lets requests under way finish, for at most two seconds.
func (w *web) close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	for _, s := range w.servers {
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away: there is no one left to tell
}
