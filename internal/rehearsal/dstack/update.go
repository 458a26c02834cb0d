package dstack

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
)

// composeFile is what was stored, and so is hashed and measured.
func (p *Provider) composeFile(w http.ResponseWriter, _ *http.Request, c *cvm) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(c.current().compose)
}

// provisionUpdate takes another app-compose file for an application that there
// is: its fields are the body.
func (p *Provider) provisionUpdate(w http.ResponseWriter, r *http.Request, c *cvm) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		failField(w, "body", "%v", err)
		return
	}
	app, err := read(r.Context(), body, p.options.Faults.Added)
	if err != nil {
		failField(w, "docker_compose_file", "%v", err)
		return
	}
	unchanged := c.current().composeHash() == app.composeHash()
	c.mu.Lock()
	c.offered[app.composeHash()] = app
	c.mu.Unlock()
	reply(w, map[string]any{"app_id": c.id, "device_id": nil, "compose_hash": app.composeHash(), "kms_info": nil,
		"compose_hash_registered": false, "compose_unchanged": unchanged})
}

// commitUpdate accepts what was provisioned and answers before anything happened.
func (p *Provider) commitUpdate(w http.ResponseWriter, r *http.Request, c *cvm) {
	var q struct {
		Hash string `json:"compose_hash"`
	}
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		failField(w, "body", "%v", err)
		return
	}
	c.mu.Lock()
	app, offered := c.offered[q.Hash]
	if offered {
		c.next, c.lag = &app, p.options.Faults.Lag
	}
	c.mu.Unlock()
	if !offered {
		failCode(w, http.StatusBadRequest, "ERR-01-006", "compose hash %s is invalid or expired", q.Hash)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// catchUp begins the update that was accepted, once it has lagged long enough:
// the application stops, and starts under its id with its other app-compose file.
func (c *cvm) catchUp(parent context.Context) {
	c.mu.Lock()
	next := c.next
	if next == nil || c.lag > 0 {
		c.lag--
		c.mu.Unlock()
		return
	}
	c.next = nil
	c.mu.Unlock()
	if err := c.stop(); err != nil {
		c.fail(err)
		return
	}
	c.mu.Lock()
	c.app, c.status, c.bootError = *next, created, ""
	c.mu.Unlock()
	c.start(parent)
}
