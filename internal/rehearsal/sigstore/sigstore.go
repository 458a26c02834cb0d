// Package sigstore runs the local Sigstore of a rehearsal as a child process.
//
// Its promise: what it starts speaks Sigstore's real protocols, listens on
// loopback only, keeps its keys in one folder so that yesterday's signatures
// still verify, and is gone when Close returns or when this process dies.
package sigstore

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/calimero-network/mero-tee/internal/base/fault"
	"github.com/calimero-network/mero-tee/internal/base/gobuild"
)

const (
	readyWithin = 5 * time.Minute // for a hang: 0.2 s is usual (2026-11-23, two cores), and a loaded machine needs more
	endsWithin  = 10 * time.Second
	logName     = "sigstore.log"
)

// Options say where the instance lives.
type Options struct {
	Dir      string       // state: keys, logs, trusted root; one instance at a time
	ToolsDir string       // this repository's tools folder
	RekorV2  bool         // runs the real Rekor v2 server besides the log that speaks v1
	Issuer   string       // of the identity tokens; empty means GitHub Actions, as in production
	Log      func(string) // one line when a program has to be compiled; may be nil
}

// Instance is a running Sigstore. Its files are complete when Start returns.
type Instance struct {
	TrustedRootPath          string // the same bytes in every run over one Dir
	SigningConfigPath        string // Rekor v1 and a timestamp authority, as the public instance's
	SigningConfigRekorV2Path string // Rekor v2 before v1; empty unless it was asked for

	services         map[string]*url.URL // by their names at sigstore.dev
	front            *http.Transport
	tokenURL, bearer string
	cmd              *exec.Cmd
	stdin            io.Closer
	closeOnce        sync.Once
	closeErr         error
}

// Start builds the programs if need be, starts them, and returns when everything answers.
func Start(ctx context.Context, o Options) (*Instance, error) {
	i, err := start(ctx, o)
	if err != nil {
		return nil, &fault.Error{Code: fault.General, Message: "starting the local sigstore", Err: err}
	}
	return i, nil
}

func start(ctx context.Context, o Options) (*Instance, error) {
	program, rekor, err := build(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(o.Dir, logName), os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	args := []string{"-dir", o.Dir}
	if o.RekorV2 {
		args = append(args, "-rekor", rekor)
	}
	if o.Issuer != "" {
		args = append(args, "-issuer", o.Issuer)
	}
	cmd := exec.Command(program, args...) //nolint:noctx // a kill would leave no time to end the child's child
	cmd.Stderr, cmd.WaitDelay = log, time.Second
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	i := &Instance{cmd: cmd, stdin: stdin, front: newFront()}
	if err := i.await(ctx, stdout); err != nil {
		_ = i.Close()
		said, _ := os.ReadFile(filepath.Join(o.Dir, logName))
		return nil, fmt.Errorf("%w; its log ends: %s", err, said[max(0, len(said)-1000):])
	}
	return i, nil
}

func build(ctx context.Context, o Options) (program, rekor string, err error) {
	log := o.Log
	if log == nil {
		log = func(string) {}
	}
	module := filepath.Join(o.ToolsDir, "sigstore")
	const flags = "-s -w -buildid="
	if o.RekorV2 {
		rekor, err = gobuild.Build(ctx, gobuild.Spec{Name: "rekor-server", Module: module, LDFlags: flags,
			Package: "github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix"}, log)
		if err != nil {
			return "", "", err
		}
	}
	program, err = gobuild.Build(ctx, gobuild.Spec{Name: "sigstore", Module: module, LDFlags: flags, Package: "."}, log)
	return program, rekor, err
}

// await reads the one line that the program prints when everything answers.
func (i *Instance) await(ctx context.Context, stdout io.Reader) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	line := make(chan []byte, 1)
	go func() {
		b, _ := bufio.NewReader(io.LimitReader(stdout, 1<<16)).ReadBytes('\n')
		line <- b
	}()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case b := <-line:
		return i.read(b)
	}
}

func (i *Instance) read(line []byte) error {
	if len(line) == 0 {
		return errors.New("it ended before it was ready")
	}
	var r struct {
		TrustedRoot          string            `json:"trusted_root"`
		SigningConfig        string            `json:"signing_config"`
		SigningConfigRekorV2 string            `json:"signing_config_rekor_v2"`
		Services             map[string]string `json:"services"`
		TokenURL             string            `json:"token_url"`
		TokenBearer          string            `json:"token_bearer"`
	}
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("its first line: %w", err)
	}
	i.TrustedRootPath, i.SigningConfigPath = r.TrustedRoot, r.SigningConfig
	i.SigningConfigRekorV2Path, i.services = r.SigningConfigRekorV2, map[string]*url.URL{}
	for name, address := range r.Services {
		u, err := url.Parse(address)
		if err != nil {
			return err
		}
		i.services[name] = u
	}
	i.tokenURL, i.bearer = r.TokenURL, r.TokenBearer
	return nil
}

// TokenURL is the ACTIONS_ID_TOKEN_REQUEST_URL of a job that runs workflow (a
// file name) in repository (owner/name) at ref (refs/tags/…) and the commit sha
// (40 hex digits). Clients append &audience=sigstore.
func (i *Instance) TokenURL(repository, workflow, ref, sha string) string {
	q := url.Values{"repository": {repository}, "workflow": {workflow}, "ref": {ref}, "sha": {sha}}
	return i.tokenURL + "/?" + q.Encode()
}

// Bearer is the ACTIONS_ID_TOKEN_REQUEST_TOKEN: a secret of this run.
func (i *Instance) Bearer() string { return i.bearer }

// Close ends the instance and returns when nothing of it runs any more. Calling it again changes nothing.
func (i *Instance) Close() error {
	i.closeOnce.Do(func() {
		i.front.CloseIdleConnections()
		_ = i.stdin.Close() // the program ends when its standard input does
		timer := time.AfterFunc(endsWithin, func() { _ = i.cmd.Process.Signal(syscall.SIGKILL) })
		defer timer.Stop()
		if err := i.cmd.Wait(); err != nil {
			i.closeErr = &fault.Error{Code: fault.General, Message: "the local sigstore ended badly", Err: err}
		}
	})
	return i.closeErr
}
