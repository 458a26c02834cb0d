package gce

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	compute "google.golang.org/api/compute/v1"
)

// metadataServer is what an instance finds at metadata.google.internal.
type metadataServer struct {
	address string
	server  *http.Server
	stopped chan struct{}
}

func (s *Server) serveMetadata(in *instance, l net.Listener) *metadataServer {
	m := &metadataServer{address: l.Addr().String(), stopped: make(chan struct{}),
		server: &http.Server{Handler: s.flavored(in), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}}
	go func() {
		defer close(m.stopped)
		_ = m.server.Serve(l) // until close
	}()
	return m
}

func (m *metadataServer) close() error {
	err := m.server.Close()
	<-m.stopped
	return err
}

// flavored admits only requests that no browser and no proxy sends by accident.
func (s *Server) flavored(in *instance) http.Handler {
	inner := s.metadataRoutes(in)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Metadata-Flavor", "Google")
		w.Header().Set("Content-Type", "application/text")
		if r.Header.Get("Metadata-Flavor") != "Google" || r.Header.Get("X-Forwarded-For") != "" {
			http.Error(w, "Missing Metadata-Flavor:Google header.", http.StatusForbidden)
			return
		}
		value, err := read(r.Body, maxValue)
		if err != nil {
			http.Error(w, "The value is too large.", http.StatusRequestEntityTooLarge)
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(value))
		s.mu.Lock()
		defer s.mu.Unlock()
		inner.ServeHTTP(w, r)
	})
}

func (s *Server) metadataRoutes(in *instance) http.Handler {
	const v1 = "GET /computeMetadata/v1/"
	mux := http.NewServeMux()
	value := func(path, text string) {
		mux.HandleFunc(v1+path, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) })
	}
	number := numeral(numericID(s.options.Project))
	value("project/project-id", s.options.Project)
	value("project/numeric-project-id", number)
	value("instance/name", in.resource.Name)
	value("instance/id", numeral(in.resource.Id))
	value("instance/zone", "projects/"+number+"/zones/"+s.options.Zone)
	mux.HandleFunc(v1+"instance/attributes/{key...}", func(w http.ResponseWriter, r *http.Request) {
		show(w, attributes(in.resource.Metadata), r.PathValue("key"))
	})
	guest := &guestAttributes{s, in}
	mux.HandleFunc(v1+"instance/guest-attributes/{path...}", guest.get)
	mux.HandleFunc("PUT /computeMetadata/v1/instance/guest-attributes/{namespace}/{key}", guest.put)
	mux.HandleFunc("DELETE /computeMetadata/v1/instance/guest-attributes/{namespace}/{key}", guest.delete)
	return mux
}

// attributes are the metadata's values by key; checkMetadata has seen to it that
// each key is there once and has a value.
func attributes(metadata *compute.Metadata) map[string]string {
	all := map[string]string{}
	for _, item := range metadata.Items {
		all[item.Key] = *item.Value
	}
	return all
}

// show answers one value, or for a path that ends in a slash what is below it.
func show(w http.ResponseWriter, all map[string]string, path string) {
	if value, ok := all[path]; ok {
		_, _ = io.WriteString(w, value)
		return
	}
	below := map[string]bool{}
	for name := range all {
		if rest, ok := strings.CutPrefix(name, path); ok && (path == "" || strings.HasSuffix(path, "/")) {
			first, _, deeper := strings.Cut(rest, "/")
			below[first+map[bool]string{true: "/"}[deeper]] = true
		}
	}
	if len(below) == 0 && path != "" {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		_, _ = io.WriteString(w, name+"\n")
	}
}
