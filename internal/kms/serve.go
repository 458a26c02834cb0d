package kms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/kms/wire"
)

// drain is how long requests under way may take to end after a stop signal.
const drain = 20 * time.Second

// Serve answers on l and fetches the policy until ctx ends, then lets requests
// under way end. It returns an error of code Verification when the policy is
// one that this version must not run with.
func (s *Service) Serve(ctx context.Context, l net.Listener) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	server := watched(s.server(s.Handler()))
	s.log.Info("key service started", "version", s.config.Version.String(), "profile", s.config.Profile, "address",
		l.Addr().String(),
		"policy_url", withoutSecrets(s.config.PolicyURL), "policy_pinned", s.config.PolicySHA256 != "", "tdx_root_sha256",
		s.config.TDXRoot)

	served, loaded := make(chan error, 1), make(chan error, 1)
	go func() { served <- server.Serve(newConnections(l, maxConnections)) }()
	go func() { loaded <- s.policy.load(ctx) }()
	err := s.wait(ctx, served, loaded)
	stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), drain)
	defer cancel()
	down := server.Shutdown(grace)
	if errors.Is(down, context.DeadlineExceeded) { // who asked may read an answer for longer, or not at all
		s.log.Warn("requests under way were cut off", "after", drain.String())
		down = server.Close()
	}
	if down != nil && err == nil {
		err = fmt.Errorf("shut down: %w", down)
	}
	if lost := s.challenges.used.close(); lost != nil && err == nil {
		err = fmt.Errorf("close the store of used challenges: %w", lost)
	}
	s.log.Info("key service stopped")
	return err
}

// server has a deadline for every phase of a connection.
func (s *Service) server(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 15 * time.Second,
		WriteTimeout: 60 * time.Second, IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10,
	}
}

// ServeMetrics answers /metrics on l until ctx ends. Its connections all count as silent: who opens new ones takes the
// place of who rests between two questions, and keeps nobody out.
func (s *Service) ServeMetrics(ctx context.Context, l net.Listener) error {
	server := s.server(s.MetricsHandler())
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(newConnections(l, maxScrapes)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics: %w", err)
	}
	return nil
}

// wait returns when the service must stop, and why.
func (s *Service) wait(ctx context.Context, served, loaded <-chan error) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-served:
			return fmt.Errorf("serve: %w", err)
		case err := <-loaded:
			if err != nil {
				return err
			}
			loaded = nil // a nil channel is never ready: the policy is there, keep serving
		}
	}
}

// firstInherited is SD_LISTEN_FDS_START of systemd's socket activation.
const firstInherited = 3

// Listen takes over the socket that systemd's protocol hands down (LISTEN_FDS=1,
// and LISTEN_PID, when set, this process), else it opens addr.
func Listen(addr string, lookup func(string) (string, bool)) (net.Listener, error) {
	count, activated := lookup("LISTEN_FDS")
	if pid, ok := lookup("LISTEN_PID"); ok && pid != strconv.Itoa(os.Getpid()) {
		activated = false // meant for another process
	}
	if !activated {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return nil, &fault.Error{Code: fault.Usage, Message: "LISTEN_ADDR cannot be opened", Got: addr, Err: err}
		}
		return l, nil
	}
	if count != "1" {
		return nil, usage("LISTEN_FDS", "1", count)
	}
	f := os.NewFile(firstInherited, "LISTEN_FD")
	if f == nil {
		return nil, errors.New("inherited socket: no such descriptor")
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("inherited socket: %w", err)
	}
	return l, nil
}

const (
	maxConnections = 2048 // each may hold a body of wire.MaxBody bytes
	maxScrapes     = 16   // connections that read metrics
	maxDecisions   = 64   // at a time; one takes a millisecond of a core, or waits for Intel and dstack
	maxQuotes      = 8    // at a time; the platform's quoting enclave makes one after the other
	queued         = 8    // for each one under way, so many may wait
	maxWait        = 5 * time.Second
)

// limiter bounds what is done at a time and how many wait for it, first come, first served.
type limiter struct{ running, waiting chan struct{} }

func newLimiter(n int) limiter {
	return limiter{running: make(chan struct{}, n), waiting: make(chan struct{}, n+n*queued)}
}

// enter waits its turn; leave must be called after an enter without error.
func (l limiter) enter(ctx context.Context) error {
	select {
	case l.waiting <- struct{}{}:
	default:
		return busy()
	}
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case l.running <- struct{}{}:
		return nil
	case <-ctx.Done():
		<-l.waiting
		return busy()
	}
}

func (l limiter) leave() { <-l.running; <-l.waiting }

func busy() error {
	no := refuse(http.StatusTooManyRequests, wire.RateLimited, "too many requests are under way")
	no.retryAfter = time.Second
	return no
}
