package dstack

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// request is POST /cvms/provision, and what the provider made of it.
type request struct {
	Name         string          `json:"name"`
	InstanceType string          `json:"instance_type"`
	KMS          string          `json:"kms"`
	Image        string          `json:"image"`
	ComposeFile  json.RawMessage `json:"compose_file"`

	app application
}

// The grammar of a CVM's name. A dot was answered 422, and so is "--".
var nameForm = regexp.MustCompile(`^[a-zA-Z][a-zA-Z0-9-]{3,61}[a-zA-Z0-9]$`)

func properName(name string) bool { return nameForm.MatchString(name) && !strings.Contains(name, "--") }

// provision takes an application and says under which id it would run. Nothing
// is reserved by it: who creates first has the id.
func (p *Provider) provision(w http.ResponseWriter, r *http.Request) {
	var q request
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		failField(w, "body", "%v", err)
		return
	}
	if !properName(q.Name) {
		failField(w, "name", "Name must be 5-63 characters, start with letter, and contain only letters/numbers/hyphens")
		return
	}
	if q.KMS != "" && q.KMS != "PHALA" {
		failCode(w, http.StatusBadRequest, "ERR-02-011", "this rehearsal has only the KMS PHALA, not %q", q.KMS)
		return
	}
	if q.Image == "" {
		q.Image = images()[0]
	}
	if !slices.Contains(images(), q.Image) {
		failCode(w, http.StatusBadRequest, "ERR-02-010", "OS image %q is not found", q.Image)
		return
	}
	var err error
	if q.app, err = read(r.Context(), q.ComposeFile, p.options.Faults.Added); err != nil {
		failField(w, "compose_file", "%v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.named(q.Name) != nil {
		failCode(w, http.StatusConflict, "ERR-01-004", "a CVM named %s exists", q.Name)
		return
	}
	key := reservation{p.nextID(), q.app.composeHash()}
	p.provisioned[key] = &q
	reply(w, map[string]any{"app_id": key.appID, "compose_hash": key.composeHash,
		"instance_type": q.InstanceType, "os_image_hash": osImageHash(q.Image).Hex(), "kms_info": nil})
}

// nextID is the app id of the next free nonce: of the key management PHALA, it
// is not a function of the application. Call it with mu held.
func (p *Provider) nextID() string {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(append([]byte("dstack app id: "), p.keys.seed...), p.nonce))
	return hex.EncodeToString(sum[:20])
}

// create makes the CVM. Asked again for the same application it answers the
// one there is; for another under the same id it refuses.
func (p *Provider) create(w http.ResponseWriter, r *http.Request) {
	var q struct {
		AppID string `json:"app_id"`
		Hash  string `json:"compose_hash"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		failField(w, "body", "%v", err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	there := p.cvms[q.AppID]
	made := p.provisioned[reservation{q.AppID, q.Hash}]
	switch {
	case p.ctx.Err() != nil:
		fail(w, http.StatusServiceUnavailable, "the provider is closing")
	case there != nil && there.current().composeHash() == q.Hash:
		reply(w, there.created())
	case there != nil:
		failCode(w, http.StatusConflict, "ERR-03-007", "app %s has another compose hash", q.AppID)
	case made == nil:
		failCode(w, http.StatusNotFound, "ERR-01-006", "no app %s with compose hash %s was provisioned", q.AppID, q.Hash)
	case p.named(made.Name) != nil:
		failCode(w, http.StatusConflict, "ERR-01-004", "a CVM named %s exists", made.Name)
	case p.options.Faults.Quota > 0 && len(p.cvms) >= p.options.Faults.Quota:
		failCode(w, http.StatusPaymentRequired, "ERR-04-002", "the workspace has reached its quota of %d CVMs",
			p.options.Faults.Quota)
	default:
		reply(w, p.admit(q.AppID, made).created())
	}
}

// admit makes a provisioned application a CVM. Call it with mu held.
func (p *Provider) admit(appID string, q *request) *cvm {
	c := p.newCVM(appID, q)
	p.cvms[appID] = c
	delete(p.provisioned, reservation{appID, q.app.composeHash()})
	if appID == p.nextID() {
		p.nonce++
	}
	if !p.options.Faults.NotStarted {
		c.start(p.ctx)
	}
	return c
}
