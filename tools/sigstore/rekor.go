package main

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/sigstore/rekor-tiles/v2/pkg/note"
)

// rekorOrigin is the name in the log's checkpoints; the trusted root's baseUrl must have it as its host.
const rekorOrigin = "rekor.rehearsal.test"

// rekorKey is the key of the Rekor v2 log.
type rekorKey struct {
	path   string
	public crypto.PublicKey
	id     []byte
}

func newRekorKey(s store) (*rekorKey, error) {
	key, err := s.key("rekor", func() (crypto.Signer, error) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	})
	if err != nil {
		return nil, err
	}
	_, id, err := note.KeyHash(rekorOrigin, key.Public())
	return &rekorKey{path: s.path("rekor.key.pem"), public: key.Public(), id: id}, err
}

// rekor is a running rekor-server.
type rekor struct {
	url  string
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // why; read it after done
}

// startRekor tries again on other ports: the server takes numbers, so another
// process can take a port between our choosing it and its listening.
func startRekor(ctx context.Context, program, dir string, key *rekorKey) (*rekor, error) {
	var errs []error
	for range 3 {
		r, err := launchRekor(program, dir, key)
		if err != nil {
			return nil, err
		}
		if err = r.healthy(ctx); err == nil {
			return r, nil
		}
		r.stop()
		errs = append(errs, err)
	}
	log, _ := os.ReadFile(filepath.Join(dir, "rekor.log"))
	return nil, fmt.Errorf("rekor does not start: %w; its log ends: %s", errors.Join(errs...), log[max(0, len(log)-1000):])
}

func launchRekor(program, dir string, key *rekorKey) (*rekor, error) {
	ports, err := freePorts(3)
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(dir, "rekor.log"), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own handle
	r := &rekor{url: "http://127.0.0.1:" + ports[0], done: make(chan struct{})}
	// A batch is sequenced when it is 50 ms old: forty assets then take one or two batches, not forty.
	r.cmd = exec.Command(program, //nolint:noctx // it is stopped by a signal, and ends with its parent
		"serve", "--hostname", rekorOrigin, "--signer-filepath", key.path,
		"--storage-dir", filepath.Join(dir, "rekor"), "--http-address", "127.0.0.1", "--grpc-address", "127.0.0.1",
		"--http-port", ports[0], "--grpc-port", ports[1], "--http-metrics-port", ports[2],
		"--batch-max-age", "50ms", "--checkpoint-interval", "200ms", "--log-level", "warn")
	r.cmd.Stdout, r.cmd.Stderr, r.cmd.SysProcAttr = log, log, endWithParent()
	r.cmd.WaitDelay = time.Second
	if err := r.cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		r.err = r.cmd.Wait()
		close(r.done)
	}()
	return r, nil
}

func (r *rekor) healthy(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{}}
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url+"/healthz", http.NoBody)
		if err != nil {
			return err
		}
		if response, err := client.Do(request); err == nil {
			var body bytes.Buffer
			_, _ = body.ReadFrom(response.Body)
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-r.done:
			return fmt.Errorf("it ended: %w", r.err)
		case <-again.C:
		}
	}
}

// stop returns when the process has ended; it has five seconds to do so by itself.
func (r *rekor) stop() {
	_ = r.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-r.done:
	case <-time.After(5 * time.Second):
		_ = r.cmd.Process.Kill()
		<-r.done
	}
}

// freePorts returns n different loopback ports that were free a moment ago.
func freePorts(n int) ([]string, error) {
	ports := make([]string, 0, n)
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // held until all are chosen, so that they differ
		ports = append(ports, strconv.Itoa(l.Addr().(*net.TCPAddr).Port))
	}
	return ports, nil
}
