// Command sigstore runs a whole Sigstore on loopback: the real Fulcio CA, a
// certificate transparency signer, an RFC 3161 timestamp authority, an OIDC
// issuer shaped like GitHub Actions', a log that speaks Rekor v1, and on demand
// the real Rekor v2 server as a child.
//
// Its promise: it trusts nothing and is trusted by nothing but its own root. All
// keys stay under -dir, so the root is the same in every run; every name it
// certifies itself under says "rehearsal"; and it ends when its standard input
// does, so it never outlives the program that started it.
package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"

	"github.com/sigstore/rekor/pkg/generated/models"
)

// githubIssuer is the issuer in every certificate that GitHub Actions signs with.
const githubIssuer = "https://token.actions.githubusercontent.com"

type options struct {
	dir, rekor, issuer string
}

func main() {
	// The kernel sends Pdeathsig when the thread that forked the child ends, so the thread must be one that stays.
	runtime.LockOSThread()
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sigstore:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	flags := flag.NewFlagSet("sigstore", flag.ContinueOnError)
	flags.StringVar(&o.dir, "dir", "", "state: keys, certificates, logs (required)")
	flags.StringVar(&o.rekor, "rekor", "",
		"the program github.com/sigstore/rekor-tiles/v2/cmd/rekor-server/posix; without it there is no Rekor v2")
	flags.StringVar(&o.issuer, "issuer", githubIssuer, "issuer of identity tokens, answered in this process")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if o.dir == "" || flags.NArg() > 0 {
		return o, fmt.Errorf("usage: sigstore -dir DIRECTORY [-rekor PROGRAM] [-issuer URL]")
	}
	return o, nil
}

// run prints one line of JSON when everything answers, and serves until stdin ends or a signal comes.
func run(args []string, stdin io.Reader, stdout io.Writer) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		stop()
	}()
	i, err := start(ctx, o)
	if err != nil {
		return err
	}
	defer i.close()
	if err := json.NewEncoder(stdout).Encode(i.ready); err != nil {
		return err
	}
	return i.wait(ctx)
}

// ready is the line that tells the parent where everything is.
type ready struct {
	TrustedRoot          string            `json:"trusted_root"`
	SigningConfig        string            `json:"signing_config"`
	SigningConfigRekorV2 string            `json:"signing_config_rekor_v2"` // empty without Rekor v2
	Services             map[string]string `json:"services"`                // address by its name at sigstore.dev
	TokenURL             string            `json:"token_url"`               // the job is its query, see parseJob
	TokenBearer          string            `json:"token_bearer"`            // new in every run
}

// instance is one running Sigstore.
type instance struct {
	ready ready
	web   *web
	rekor *rekor // nil without Rekor v2
	lock  *os.File
}

// authorities are the parties whose keys the trusted root lists.
type authorities struct {
	ca      *ca
	ct      *ctLog
	tsa     *tsa
	rekor   *rekorKey
	rekorV1 *rekorV1
	issuer  *issuer
}

func start(ctx context.Context, o options) (_ *instance, err error) {
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return nil, err
	}
	i := &instance{web: newWeb()}
	defer func() {
		if err != nil {
			i.close()
		}
	}()
	if i.lock, err = lock(ctx, dir); err != nil {
		return nil, err
	}
	a, err := load(store{dir: filepath.Join(dir, "keys")}, filepath.Join(dir, "rekor-v1"), o.issuer)
	if err != nil {
		return nil, err
	}
	if o.rekor != "" {
		if i.rekor, err = startRekor(ctx, o.rekor, dir, a.rekor); err != nil {
			return nil, err
		}
	}
	urls, err := i.serve(a)
	if err != nil {
		return nil, err
	}
	i.ready, err = publish(dir, a, urls)
	i.ready.TokenURL, i.ready.TokenBearer = urls.token, a.issuer.bearer
	return i, err
}

// load reads every key and certificate, and makes those that are missing.
func load(s store, rekorV1Dir, issuerURL string) (*authorities, error) {
	bearer := make([]byte, 32)
	_, _ = rand.Read(bearer) // never fails: crypto/rand ends the program instead
	a := &authorities{}
	steps := []func() error{
		func() (err error) { a.ca, err = newCA(s); return err },
		func() (err error) { a.ct, err = newCTLog(s); return err },
		func() (err error) { a.tsa, err = newTSA(s); return err },
		func() (err error) { a.rekor, err = newRekorKey(s); return err },
		func() (err error) { a.rekorV1, err = newRekorV1(s, rekorV1Dir); return err },
		func() (err error) { a.issuer, err = newIssuer(s, issuerURL, hex.EncodeToString(bearer)); return err },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// serve opens one listener per party and returns their addresses.
func (i *instance) serve(a *authorities) (urls, error) {
	u := urls{issuer: a.issuer.url}
	if i.rekor != nil {
		u.rekor = i.rekor.url
	}
	var err error
	if u.ct, err = i.web.serve(a.ct); err != nil {
		return u, err
	}
	fulcio, err := newFulcio(a.ca, a.issuer, u.ct, a.ct.publicKeyPEM())
	if err != nil {
		return u, fmt.Errorf("fulcio: %w", err)
	}
	if u.fulcio, err = i.web.serve(fulcio); err != nil {
		return u, err
	}
	if u.tsa, err = i.web.serve(a.tsa.api()); err != nil {
		return u, err
	}
	if u.rekorV1, err = i.web.serve(a.rekorV1.api()); err != nil {
		return u, err
	}
	u.token, err = i.web.serve(a.issuer.runner())
	return u, err
}

// wait returns nil when ctx ends, or what went wrong before.
func (i *instance) wait(ctx context.Context) error {
	var ended chan struct{} // never, without Rekor v2
	if i.rekor != nil {
		ended = i.rekor.done
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-i.web.failed:
		return err
	case <-ended:
		return errors.Join(errors.New("rekor ended by itself"), i.rekor.err)
	}
}

func (i *instance) close() {
	i.web.close()
	if i.rekor != nil {
		i.rekor.stop()
	}
	if i.lock != nil {
		_ = i.lock.Close()
	}
}

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
	s := &http.Server{Handler: http.MaxBytesHandler(h, maxRequest), ReadTimeout: 30 * time.Second,
		WriteTimeout: 60 * time.Second}
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

// apiError is an answer with the error body of Rekor and of the timestamp authority.
func apiError(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, models.Error{Code: int64(status), Message: message})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client went away: there is no one left to tell
}
