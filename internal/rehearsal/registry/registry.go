// Package registry is the rehearsal's GHCR: an OCI registry that is kept on
// disk and asks for a token as GHCR does.
//
// Its promise: what a client was told is stored is there after a restart, the
// same bytes under the same names; nobody pushes without the right to, and
// nobody sees a package that its owner did not make public. The protocol is
// go-containerregistry's registry; this package adds what that keeps in memory,
// who may do what, and faults for tests.
package registry

import (
	"errors"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	ggcr "github.com/google/go-containerregistry/pkg/registry"

	"github.com/calimero-network/mero-tee/internal/base/file"
	"github.com/calimero-network/mero-tee/internal/base/retry"
)

// Options says where the registry is kept and who may push.
type Options struct {
	Dir   string           // made if it is missing
	Token string           // the password that allows everything, with any user name
	Now   func() time.Time // for the expiry of bearer tokens

	// Rights are what other passwords allow; false is for one that nobody has. May be nil.
	Rights func(password string) (Rights, bool)
	// Created hears that a package was made. It is private then. May be nil.
	Created func(repository string)
	// Honest answers 404 about a package that there is not to whoever may make it,
	// which was seen too, and not 403.
	Honest bool
}

// Registry is an http.Handler for the host root: /v2/ and /token.
type Registry struct {
	options  Options
	protocol http.Handler
	store    store
	packages packages
	tokens   tokens

	mu     sync.Mutex // one manifest is stored at a time
	faults faults
}

// Open reads what earlier runs left in the folder.
func Open(o Options) (*Registry, error) {
	if o.Dir == "" || o.Token == "" || o.Now == nil {
		return nil, errors.New("registry: folder, token and clock must be given")
	}
	blobs := filepath.Join(o.Dir, "blobs")
	if err := os.MkdirAll(blobs, 0o755); err != nil {
		return nil, err
	}
	if err := removeUnfinished(blobs); err != nil {
		return nil, err
	}
	r := &Registry{
		options: o,
		protocol: ggcr.New(ggcr.WithBlobHandler(ggcr.NewDiskBlobHandler(blobs)),
			ggcr.WithReferrersSupport(false), ggcr.Logger(log.New(io.Discard, "", 0))),
		store:    store{dir: filepath.Join(o.Dir, "manifests")},
		packages: packages{dir: filepath.Join(o.Dir, "public"), made: map[string]bool{}},
	}
	r.tokens = newTokens(o, r.packages.public)
	return r, r.replay()
}

// removeUnfinished deletes what an upload that was cut off left among the blobs.
func removeUnfinished(blobs string) error {
	left, err := file.Glob(blobs, "upload-*")
	if err != nil {
		return err
	}
	for _, path := range left {
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return nil
}

// ServeHTTP answers one request: fault, then token, then protocol.
func (r *Registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if r.faults.strike(w, req) {
		return
	}
	if req.URL.Path == "/token" {
		r.tokens.issue(w, req)
		return
	}
	if !strings.HasPrefix(req.URL.Path, "/v2/") {
		refuse(w, http.StatusNotFound, "NAME_UNKNOWN", "not a registry path")
		return
	}
	g, ok := r.tokens.admit(w, req)
	if !ok || !r.permit(w, req, g) {
		return
	}
	if req.Method == http.MethodDelete { // GHCR deletes through GitHub's API only
		refuse(w, http.StatusMethodNotAllowed, "UNSUPPORTED", "the operation is unsupported")
		return
	}
	if m, ok := parseManifest(req.URL.Path); ok && req.Method == http.MethodPut {
		r.put(w, req, m)
		return
	}
	r.protocol.ServeHTTP(w, req)
}

// faults makes the registry misbehave on demand.
type faults struct {
	mu     sync.Mutex
	times  int
	status int
	delay  time.Duration
}

// Fail answers the next times requests with status, for example 503.
func (r *Registry) Fail(times, status int) {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.times, r.faults.status = times, status
}

// Slow delays every answer from now on; zero ends it.
func (r *Registry) Slow(delay time.Duration) {
	r.faults.mu.Lock()
	defer r.faults.mu.Unlock()
	r.faults.delay = delay
}

// strike is true when the request was answered, or its client gave up.
func (f *faults) strike(w http.ResponseWriter, req *http.Request) bool {
	f.mu.Lock()
	fail, status, delay := f.times > 0, f.status, f.delay
	if fail {
		f.times--
	}
	f.mu.Unlock()
	if delay > 0 && retry.For(req.Context(), delay) != nil {
		return true
	}
	switch {
	case fail && status == http.StatusTooManyRequests:
		refuse(w, status, "TOOMANYREQUESTS", "retry-after: 10.305464ms, allowed: 2000/minute")
	case fail:
		refuse(w, status, "UNAVAILABLE", "try again later")
	}
	return fail
}
