// Package dstack is the rehearsal's dstack provider: the provider's API, its
// gateway, and CVMs that are simulated TDs.
//
// Its promise: what was released is what runs (the image is pulled by digest,
// unpacked, and its entry point started in its own root file system with the
// compose file's environment), the guest agent answers as dstack's does, with
// quotes of the CVM's own TD, and no process outlives the provider.
package dstack

import (
	"context"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/calimero-network/mero-tee/internal/rehearsal/network"
	"github.com/calimero-network/mero-tee/internal/rehearsal/process"
	"github.com/calimero-network/mero-tee/internal/rehearsal/tdxsim"
)

// Domain is the gateway's: an application's port answers at
// "{app id}-{port}.{Domain}". Route "*." + Domain to Gateway.
const Domain = "dstack.rehearsal.invalid"

// Options are what a Provider is made of. All but Faults are required.
type Options struct {
	State  string           // folder for logs and what runs
	Seed   []byte           // 32 bytes that the applications' keys derive from
	APIKey string           // what X-API-Key must say
	TDX    *tdxsim.Platform // the machine that the CVMs run on
	Proxy  network.Proxy    // how applications reach the network
	Faults Faults
	// EventLog is how the system writes event logs; none: as dstack 0.5.6 and later do.
	EventLog []tdxsim.LogOption
	// Unpack pulls the image that ref pins by digest and writes its files into
	// dir, which does not exist yet.
	Unpack func(ctx context.Context, ref, dir string) (v1.Config, error)
}

// Faults are the provider's quirks that can be turned on.
type Faults struct {
	Hidden      int    // this many GETs of a new CVM answer 404
	NotStarted  bool   // a created CVM waits for POST …/start
	Quota       int    // CVMs at a time; 0 means no limit
	Cold        int    // this many requests through the gateway answer 502 first
	ComposeHash string // what provisioning claims instead of the truth
}

// Provider serves the API. Close it.
type Provider struct {
	options Options
	keys    *keys
	run     string // folder of this process's CVMs
	api     http.Handler
	// applications carries the gateway's requests, a connection for each, so
	// that none outlives its CVM.
	applications *http.Transport

	ctx    context.Context // ends with Close; every CVM runs under it
	cancel context.CancelFunc

	mu          sync.Mutex
	provisioned map[string]*request // by app id
	cvms        map[string]*cvm     // by app id
}

// New prepares the state folder and removes what a killed process left in it.
func New(o Options) (*Provider, error) {
	if len(o.Seed) != 32 {
		return nil, fmt.Errorf("dstack: a seed of %d bytes, not 32", len(o.Seed))
	}
	state, err := filepath.Abs(o.State)
	if err != nil {
		return nil, err
	}
	o.State = state
	if err := os.MkdirAll(filepath.Join(state, "logs"), 0o755); err != nil {
		return nil, err
	}
	run, err := process.Folder(state, os.RemoveAll)
	if err != nil {
		return nil, fmt.Errorf("dstack state: %w", err)
	}
	p := &Provider{options: o, keys: &keys{o.Seed}, run: run, provisioned: map[string]*request{}, cvms: map[string]*cvm{},
		applications: &http.Transport{DisableKeepAlives: true}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.api = p.routes()
	return p, nil
}

// ServeHTTP is the provider's API, under any path prefix ("/api/v1/cvms…").
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-API-Key")), []byte(p.options.APIKey)) != 1 {
		fail(w, http.StatusUnauthorized, "invalid API key")
		return
	}
	p.api.ServeHTTP(w, r)
}

// Close kills every CVM, waits until all are gone, and removes their files; logs and seed stay.
func (p *Provider) Close() error {
	p.cancel()
	p.mu.Lock()
	running := make([]*cvm, 0, len(p.cvms))
	for _, c := range p.cvms {
		running = append(running, c)
	}
	p.mu.Unlock()
	var errs []error
	for _, c := range running {
		errs = append(errs, c.stop())
	}
	return errors.Join(append(errs, os.RemoveAll(p.run))...)
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(v) // a client that went away needs no answer
}

func fail(w http.ResponseWriter, status int, format string, args ...any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"detail": fmt.Sprintf(format, args...)})
}

const maxBody = 1 << 20

// request is POST /cvms/provision, and what the provider made of it.
type request struct {
	Name         string          `json:"name"`
	InstanceType string          `json:"instance_type"`
	ComposeFile  json.RawMessage `json:"compose_file"`

	app application
}

// The grammar of a CVM's name; a dot in it is answered 422.
var nameForm = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{3,61}[a-zA-Z0-9]$`)

func (p *Provider) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cvms/provision", p.provision)
	mux.HandleFunc("POST /cvms", p.create)
	mux.HandleFunc("GET /cvms/{id}", p.existing(p.get))
	mux.HandleFunc("POST /cvms/{id}/start", p.existing(p.start))
	mux.HandleFunc("DELETE /cvms/{id}", p.existing(p.remove))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		if i := strings.Index(r.URL.Path, "/cvms"); i > 0 {
			r.URL.Path, r.URL.RawPath = r.URL.Path[i:], ""
		}
		mux.ServeHTTP(w, r)
	})
}

func (p *Provider) provision(w http.ResponseWriter, r *http.Request) {
	var q request
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		fail(w, http.StatusUnprocessableEntity, "body: %v", err)
		return
	}
	if !nameForm.MatchString(q.Name) {
		fail(w, http.StatusUnprocessableEntity,
			"name: must have 5 to 63 letters, digits and hyphens, and begin with a letter")
		return
	}
	if err := q.read(r.Context()); err != nil {
		fail(w, http.StatusUnprocessableEntity, "compose_file: %v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, taken := p.named(q.Name); taken {
		fail(w, http.StatusConflict, "a CVM named %s exists", q.Name)
		return
	}
	p.provisioned[q.app.id()] = &q
	claimed := hex.EncodeToString(q.app.hash[:])
	if p.options.Faults.ComposeHash != "" {
		claimed = p.options.Faults.ComposeHash
	}
	reply(w, map[string]string{"app_id": q.app.id(), "compose_hash": claimed})
}

func (p *Provider) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		AppID string `json:"app_id"`
		Hash  string `json:"compose_hash"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		fail(w, http.StatusUnprocessableEntity, "body: %v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	made := p.provisioned[q.AppID]
	switch {
	case p.ctx.Err() != nil:
		fail(w, http.StatusServiceUnavailable, "the provider is closing")
	case made == nil || q.Hash != hex.EncodeToString(made.app.hash[:]):
		fail(w, http.StatusNotFound, "no app %s with compose hash %s was provisioned", q.AppID, q.Hash)
	case p.cvms[q.AppID] != nil:
		fail(w, http.StatusConflict, "app %s runs already", q.AppID)
	case p.options.Faults.Quota > 0 && len(p.cvms) >= p.options.Faults.Quota:
		fail(w, http.StatusPaymentRequired, "the workspace has reached its quota of %d CVMs", p.options.Faults.Quota)
	default:
		c := p.newCVM(made)
		p.cvms[q.AppID] = c
		delete(p.provisioned, q.AppID)
		if !p.options.Faults.NotStarted {
			c.start(p.ctx)
		}
		reply(w, c.describe())
	}
}

// existing hands the CVM that the address names to h.
func (p *Provider) existing(h func(w http.ResponseWriter, c *cvm)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		c := p.find(r.PathValue("id"))
		p.mu.Unlock()
		if c == nil || r.Method == http.MethodGet && c.stillHidden() {
			fail(w, http.StatusNotFound, "CVM not found")
			return
		}
		h(w, c)
	}
}

func (p *Provider) get(w http.ResponseWriter, c *cvm) { reply(w, c.describe()) }

func (p *Provider) start(w http.ResponseWriter, c *cvm) {
	if !c.start(p.ctx) {
		fail(w, http.StatusConflict, "CVM is already running")
		return
	}
	reply(w, c.describe())
}

func (p *Provider) remove(w http.ResponseWriter, c *cvm) {
	if err := c.stop(); err != nil {
		fail(w, http.StatusInternalServerError, "%v", err)
		return
	}
	p.mu.Lock()
	delete(p.cvms, c.app.id())
	p.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// find knows a CVM by "app_" and app id, by UUID or by name. Call it with mu held.
func (p *Provider) find(id string) *cvm {
	if c := p.cvms[strings.TrimPrefix(id, "app_")]; c != nil {
		return c
	}
	for _, c := range p.cvms {
		if c.uuid == id {
			return c
		}
	}
	c, _ := p.named(id)
	return c
}

func (p *Provider) named(name string) (*cvm, bool) {
	for _, c := range p.cvms {
		if c.name == name {
			return c, true
		}
	}
	return nil, false
}
