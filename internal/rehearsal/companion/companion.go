// Package companion stands in for the programs beside the agent in rehearsed
// node images: merod, and traefik in front of it.
//
// Its promise: merod's stand-in takes the command lines that merod takes, as far
// as it knows them, and refuses the others with merod's exit codes; it keeps its
// configuration where and as merod does, and answers for its health alone.
// traefik's stand-in lets through what the rules of its files say, and answers as
// traefik does where there is no route or no server. Neither does anything else
// that the real one does.
package companion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/calimero-network/mero-tee/internal/node/agent"
)

// Process is what a program is started with.
type Process struct {
	Args   []string // with its name
	Getenv func(string) string
	Stderr io.Writer
}

// Exit codes of clap and of a Rust program that returns an error; traefik's is the second too.
const (
	exitUsage   = 2
	exitFailure = 1
)

// Main is a program by its name; ctx ends it. It returns the exit code.
func Main(ctx context.Context, p Process) int {
	name := filepath.Base(p.Args[0])
	run, known := map[string]func(context.Context, Process) error{"merod": runMerod, "traefik": runTraefik}[name]
	if !known {
		run = func(context.Context, Process) error { return errors.New("no stand-in of this name") }
	}
	err := run(ctx, p)
	if err == nil {
		return 0
	}
	_, _ = fmt.Fprintf(p.Stderr, "%s (stand-in): error: %v\n", name, err)
	var usage usageError
	if errors.As(err, &usage) {
		return exitUsage
	}
	return exitFailure
}

// usageError is a command line that clap would refuse.
type usageError string

func (u usageError) Error() string { return string(u) }

func refuse(format string, args ...any) error { return usageError(fmt.Sprintf(format, args...)) }

// place is where a port of the node is: on a machine that several nodes share,
// at the address that the platform names (agent.NodeHostVariable).
func (p Process) place(address string) (string, error) {
	platform := p.Getenv(agent.NodeHostVariable)
	if platform == "" {
		return address, nil
	}
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", err
	}
	host, _, err := net.SplitHostPort(platform)
	if err != nil {
		return "", fmt.Errorf("%s: %w", agent.NodeHostVariable, err)
	}
	if port == "80" {
		return platform, nil
	}
	return net.JoinHostPort(host, port), nil
}

// serve answers at an address until ctx ends.
func (p Process) serve(ctx context.Context, address string, h http.Handler) error {
	at, err := p.place(address)
	if err != nil {
		return err
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", at)
	if err != nil {
		return err
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	stop := context.AfterFunc(ctx, func() { _ = s.Close() })
	defer stop()
	if err := s.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
