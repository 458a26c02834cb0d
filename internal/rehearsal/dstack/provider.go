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
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"os"
	"path/filepath"
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
	// TrustedRoot is the path of the rehearsal's Sigstore trusted root, read when an application boots; none: the key
	// service believes the public one alone.
	TrustedRoot string
	Faults      Faults
	// EventLog is how the system writes event logs; none: as dstack 0.5.6 and later do.
	EventLog []tdxsim.LogOption
	// Unpack pulls the image that ref pins by digest and writes its files into
	// dir, which does not exist yet.
	Unpack func(ctx context.Context, ref, dir string) (v1.Config, error)
}

// Faults are the provider's quirks that can be turned on.
type Faults struct {
	Hidden     int  // this many GETs of a new CVM answer 404
	Busy       int  // this many requests are answered 429, without a Retry-After
	Resets     int  // this many requests have their connection reset
	Lag        int  // this many GETs after an update show the old application, which still runs
	NotStarted bool // a created CVM waits for POST …/start
	Quota      int  // CVMs at a time; 0 means no limit
	Cold       int  // this many requests through the gateway answer 502 first
	// Added are fields that the API adds to every app-compose file, besides those that it is known to add.
	Added map[string]any
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
	busy        int                      // see Faults
	resets      int                      // see Faults
	nonce       uint64                   // that the next application's id comes from
	provisioned map[reservation]*request // not created yet
	cvms        map[string]*cvm          // by app id
	deleting    []*fading                // that are listed for a while longer
}

// reservation is what a provisioned application is asked for by.
type reservation struct{ appID, composeHash string }

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
	first, err := rand.Int(rand.Reader, big.NewInt(1<<62)) // no later process gives an id again
	if err != nil {
		return nil, err
	}
	p := &Provider{options: o, keys: &keys{o.Seed}, run: run, provisioned: map[reservation]*request{},
		cvms: map[string]*cvm{}, nonce: first.Uint64(), busy: o.Faults.Busy, resets: o.Faults.Resets,
		applications: &http.Transport{DisableKeepAlives: true}}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.api = p.routes()
	return p, nil
}

// ServeHTTP is the provider's API, under any path prefix ("/api/v1/cvms…"). Its
// edge refuses programs that do not say who they are.
func (p *Provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if agent := r.UserAgent(); agent == "" || strings.HasPrefix(agent, "Go-http-client/") {
		http.Error(w, "error code: 1010", http.StatusForbidden)
		return
	}
	if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-API-Key")), []byte(p.options.APIKey)) != 1 {
		fail(w, http.StatusUnauthorized, "invalid API key")
		return
	}
	if p.disturbed(w) {
		return
	}
	p.api.ServeHTTP(w, r)
}

// disturbed counts down the requests that the network or a limit takes.
func (p *Provider) disturbed(w http.ResponseWriter) bool {
	p.mu.Lock()
	busy, reset := p.busy > 0, p.resets > 0
	p.busy, p.resets = max(0, p.busy-1), max(0, p.resets-1)
	p.mu.Unlock()
	if reset {
		panic(http.ErrAbortHandler)
	}
	if busy {
		fail(w, http.StatusTooManyRequests, "too many requests")
	}
	return busy
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

// fail is an error in words: {"detail": "…"}.
func fail(w http.ResponseWriter, status int, format string, args ...any) {
	failDetail(w, status, fmt.Sprintf(format, args...))
}

// failCode is an error with a code of the API: {"detail": {"error_code": …, "message": …}}.
func failCode(w http.ResponseWriter, status int, code, format string, args ...any) {
	failDetail(w, status, map[string]any{"error_code": code, "message": fmt.Sprintf(format, args...),
		"details": []any{}, "suggestions": []string{}, "links": []any{}})
}

// failField is what the validation of a request's field says: {"detail": [{"loc": …, "msg": …}]}.
func failField(w http.ResponseWriter, field, format string, args ...any) {
	failDetail(w, http.StatusUnprocessableEntity, []map[string]any{{"loc": []string{"body", field},
		"msg": fmt.Sprintf(format, args...), "type": "value_error"}})
}

func failDetail(w http.ResponseWriter, status int, detail any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]any{"detail": detail})
}

const maxBody = 1 << 20

func (p *Provider) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /cvms/provision", p.provision)
	mux.HandleFunc("POST /cvms", p.create)
	mux.HandleFunc("GET /os-images", p.osImages)
	mux.HandleFunc("GET /cvms/paginated", p.list)
	mux.HandleFunc("GET /cvms/{id}", p.existing(p.get))
	mux.HandleFunc("GET /cvms/{id}/state", p.existing(p.state))
	mux.HandleFunc("GET /cvms/{id}/attestation", p.existing(p.attestation))
	mux.HandleFunc("GET /cvms/{id}/compose_file", p.existing(p.composeFile))
	mux.HandleFunc("POST /cvms/{id}/compose_file/provision", p.existing(p.provisionUpdate))
	mux.HandleFunc("PATCH /cvms/{id}/compose_file", p.existing(p.commitUpdate))
	mux.HandleFunc("POST /cvms/{id}/start", p.existing(p.start))
	mux.HandleFunc("DELETE /cvms/{id}", p.existing(p.remove))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxBody)
		for _, resource := range []string{"/cvms", "/os-images"} {
			if i := strings.Index(r.URL.Path, resource); i > 0 {
				r.URL.Path, r.URL.RawPath = r.URL.Path[i:], ""
			}
		}
		mux.ServeHTTP(w, r)
	})
}

// osImages lists the operating systems, as far as one page goes.
func (p *Provider) osImages(w http.ResponseWriter, _ *http.Request) {
	items := []map[string]any{}
	for _, image := range images() {
		items = append(items, map[string]any{"name": image, "slug": image + "-" + osImageHash(image).Hex()[:8],
			"version": strings.TrimPrefix(image, "dstack-"), "os_image_hash": osImageHash(image).Hex(), "is_dev": false,
			"requires_gpu": false})
	}
	reply(w, map[string]any{"items": items, "total": len(items), "page": 1, "page_size": 100, "pages": 1})
}

// existing hands the CVM that the address names to h.
func (p *Provider) existing(h func(w http.ResponseWriter, r *http.Request, c *cvm)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		c := p.find(r.PathValue("id"))
		p.mu.Unlock()
		if c == nil || r.Method == http.MethodGet && c.stillHidden() {
			failCode(w, http.StatusNotFound, "ERR-03-001", "CVM not found")
			return
		}
		h(w, r, c)
	}
}

func (p *Provider) get(w http.ResponseWriter, _ *http.Request, c *cvm) {
	c.catchUp(p.ctx)
	reply(w, c.describe())
}

func (p *Provider) state(w http.ResponseWriter, _ *http.Request, c *cvm) { reply(w, c.state()) }

// attestation is what the machine says of itself, as the API hands it on.
func (p *Provider) attestation(w http.ResponseWriter, _ *http.Request, c *cvm) {
	c.quoting.Lock()
	defer c.quoting.Unlock()
	c.mu.Lock()
	up, app := c.status == running, c.app
	c.mu.Unlock()
	answer := map[string]any{"name": c.name, "is_online": up, "is_public": true, "error": nil, "app_certificates": nil,
		"tcb_info": nil, "compose_file": string(app.compose)}
	if up {
		log, err := c.log.Dstack()
		if err != nil {
			fail(w, http.StatusInternalServerError, "%v", err)
			return
		}
		r := c.td.Registers()
		answer["tcb_info"] = map[string]any{"mrtd": r.MRTD.String(), "rtmr0": r.RTMR0.String(), "rtmr1": r.RTMR1.String(),
			"rtmr2": r.RTMR2.String(), "rtmr3": r.RTMR3.String(), "event_log": json.RawMessage(log),
			"app_compose": string(app.compose)}
	}
	reply(w, answer)
}

func (p *Provider) start(w http.ResponseWriter, _ *http.Request, c *cvm) {
	if !c.start(p.ctx) {
		fail(w, http.StatusConflict, "CVM is already running")
		return
	}
	reply(w, c.created())
}

func (p *Provider) remove(w http.ResponseWriter, _ *http.Request, c *cvm) {
	if err := c.stop(); err != nil {
		fail(w, http.StatusInternalServerError, "%v", err)
		return
	}
	p.mu.Lock()
	delete(p.cvms, c.id)
	p.deleting = append(p.deleting, &fading{c, listedOn})
	p.mu.Unlock()
	w.WriteHeader(http.StatusNoContent)
}

// find knows a CVM by "app_" and app id, or by name. Call it with mu held.
func (p *Provider) find(id string) *cvm {
	if c := p.cvms[strings.TrimPrefix(id, "app_")]; c != nil {
		return c
	}
	return p.named(id)
}

func (p *Provider) named(name string) *cvm {
	for _, c := range p.cvms {
		if c.name == name {
			return c
		}
	}
	return nil
}
