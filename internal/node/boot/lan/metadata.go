package lan

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Metadata is a metadata server like Compute Engine's. Every request is noted on its network.
type Metadata struct {
	network    *Network
	attributes map[string]string
	mu         sync.Mutex
	reported   map[string]string // guest attributes, by namespace/key
}

// maxAttribute bounds a guest attribute, in bytes, as Compute Engine does.
const maxAttribute = 256 << 10

// ServeMetadata answers at 169.254.169.254:80 until the network's guest is gone.
func (n *Network) ServeMetadata(attributes map[string]string) *Metadata {
	m := &Metadata{network: n, attributes: attributes, reported: map[string]string{}}
	server := &http.Server{Handler: m, ReadHeaderTimeout: time.Minute}
	l := n.Listen(80)
	go func() { _ = server.Serve(l) }() // ends with the listener
	return m
}

// Reported are the guest attributes that the guest wrote.
func (m *Metadata) Reported() map[string]string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.reported)
}

const instance = "/computeMetadata/v1/instance/"

// ServeHTTP answers one request.
func (m *Metadata) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	m.network.Note(r.Method + " " + printable([]byte(r.URL.Path)))
	w.Header().Set("Metadata-Flavor", "Google")
	w.Header().Set("Server", "Metadata Server for VM")
	if r.Header.Get("Metadata-Flavor") != "Google" {
		http.Error(w, "Missing required header \"Metadata-Flavor\": \"Google\"", http.StatusForbidden)
		return
	}
	switch {
	case r.Method == http.MethodPut:
		m.put(w, r)
	case r.URL.Query().Get("recursive") == "true":
		m.whole(w, r)
	default:
		m.one(w, r)
	}
}

// one answers an attribute, and nothing else of an instance.
func (m *Metadata) one(w http.ResponseWriter, r *http.Request) {
	name, ok := strings.CutPrefix(r.URL.Path, instance+"attributes/")
	value, known := m.attributes[name]
	if !ok || !known {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", "application/text")
	_, _ = io.WriteString(w, value) // whoever asked is gone
}

func (m *Metadata) put(w http.ResponseWriter, r *http.Request) {
	key, ok := strings.CutPrefix(r.URL.Path, instance+"guest-attributes/")
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxAttribute))
	if !ok || err != nil {
		http.NotFound(w, r)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reported[key] = string(body)
}

// whole answers the tree that Google's guest agent asks for. Nothing in it
// changes, so a caller that waits for a change waits its whole time.
func (m *Metadata) whole(w http.ResponseWriter, r *http.Request) {
	const etag = "6d65726f"
	if r.URL.Query().Get("wait_for_change") == "true" && r.URL.Query().Get("last_etag") == etag {
		ctx, stop := context.WithTimeout(r.Context(), time.Minute)
		defer stop()
		<-ctx.Done()
	}
	w.Header().Set("ETag", etag)
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{ // whoever asked is gone
		"instance": map[string]any{"attributes": m.attributes, "id": 1, "hostname": "node.c.mero-tee.internal",
			"name": "node", "zone": "projects/1/zones/us-central1-a",
			"networkInterfaces": []any{map[string]any{"mac": MAC, "ip": guestIP.String(), "mtu": mtu}}},
		"project": map[string]any{"attributes": map[string]string{}, "numericProjectId": 1, "projectId": "mero-tee"},
	})
}
