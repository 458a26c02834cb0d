package dstack

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
)

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
	mux.HandleFunc("GET /cvms/{id}", p.get)
	mux.HandleFunc("POST /cvms/{id}/start", p.start)
	mux.HandleFunc("DELETE /cvms/{id}", p.remove)
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
		fail(w, http.StatusUnprocessableEntity, "name: must have 5 to 63 letters, digits and hyphens, and begin with a letter")
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

func (p *Provider) get(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.find(r.PathValue("id"))
	if c == nil || c.stillHidden() {
		fail(w, http.StatusNotFound, "CVM not found")
		return
	}
	reply(w, c.describe())
}

func (p *Provider) start(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.find(r.PathValue("id"))
	if c == nil {
		fail(w, http.StatusNotFound, "CVM not found")
		return
	}
	if !c.start(p.ctx) {
		fail(w, http.StatusConflict, "CVM is already running")
		return
	}
	reply(w, c.describe())
}

func (p *Provider) remove(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	c := p.find(r.PathValue("id"))
	p.mu.Unlock()
	if c == nil {
		fail(w, http.StatusNotFound, "CVM not found")
		return
	}
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
