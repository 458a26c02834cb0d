package gce

import (
	"io"
	"net/http"
	"strings"

	compute "google.golang.org/api/compute/v1"
)

// guestAttributes is the part that the instance writes.
type guestAttributes struct {
	*Server
	in *instance
}

func guestAttributesOn(metadata *compute.Metadata) bool {
	return strings.EqualFold(attributes(metadata)["enable-guest-attributes"], "TRUE")
}

func (g *guestAttributes) enabled(w http.ResponseWriter) bool {
	if guestAttributesOn(g.in.resource.Metadata) {
		return true
	}
	http.Error(w, "Guest attributes endpoint access is disabled.", http.StatusForbidden)
	return false
}

func (g *guestAttributes) get(w http.ResponseWriter, r *http.Request) {
	if g.enabled(w) {
		show(w, g.in.attributes, r.PathValue("path"))
	}
}

func (g *guestAttributes) put(w http.ResponseWriter, r *http.Request) {
	if !g.enabled(w) {
		return
	}
	if g.in.refused < g.faults.Busy {
		g.in.refused++
		http.Error(w, "Too many requests.", http.StatusTooManyRequests)
		return
	}
	value, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	g.in.attributes[r.PathValue("namespace")+"/"+r.PathValue("key")] = string(value)
}

func (g *guestAttributes) delete(w http.ResponseWriter, r *http.Request) {
	if !g.enabled(w) {
		return
	}
	name := r.PathValue("namespace") + "/" + r.PathValue("key")
	if _, ok := g.in.attributes[name]; !ok {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	delete(g.in.attributes, name)
}
