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

	"cloud.google.com/go/compute/apiv1/computepb"
)

// metadataServer is what an instance finds at metadata.google.internal.
type metadataServer struct {
	address string
	server  *http.Server
	stopped chan struct{}
}

func (s *Server) serveMetadata(in *instance, l net.Listener) *metadataServer {
	server := &http.Server{Handler: s.flavored(s.metadataRoutes(in)),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute}
	m := &metadataServer{l.Addr().String(), server, make(chan struct{})}
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
func (s *Server) flavored(inner http.Handler) http.Handler {
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
	const v1 = "/computeMetadata/v1/instance/"
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+v1+"attributes/{key}", func(w http.ResponseWriter, r *http.Request) {
		value, ok := attributes(in.Metadata)[r.PathValue("key")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = io.WriteString(w, value) // a guest that went away needs no answer
	})
	mux.HandleFunc("PUT "+v1+"guest-attributes/{namespace}/{key}", func(w http.ResponseWriter, r *http.Request) {
		s.putGuestAttribute(in, w, r)
	})
	return mux
}

// attributes are the metadata's values by key; checkMetadata has seen to it that
// each key is there once.
func attributes(metadata *computepb.Metadata) map[string]string {
	all := map[string]string{}
	for _, item := range metadata.GetItems() {
		all[item.GetKey()] = item.GetValue()
	}
	return all
}

// setMetadata replaces an instance's metadata by a request that has read it.
func (s *Server) setMetadata(q request) (any, error) {
	in, err := s.instance(q)
	if err != nil {
		return nil, err
	}
	wanted := &computepb.Metadata{}
	if err := q.decode(wanted); err != nil {
		return nil, err
	}
	if err := checkMetadata(wanted); err != nil {
		return nil, err
	}
	if wanted.GetFingerprint() != in.Metadata.GetFingerprint() {
		return nil, refuse(http.StatusPreconditionFailed, "conditionNotMet",
			"Supplied fingerprint does not match current metadata fingerprint.")
	}
	return s.change(q, in, func() error {
		wanted.Kind, wanted.Fingerprint = new("compute#metadata"), fingerprint(wanted.Items)
		in.Metadata = wanted
		return s.save(in)
	}), nil
}

const disabled = "Guest attributes endpoint access is disabled."

func (in *instance) hasGuestAttributes() bool {
	return strings.EqualFold(attributes(in.Metadata)["enable-guest-attributes"], "TRUE")
}

func (s *Server) putGuestAttribute(in *instance, w http.ResponseWriter, r *http.Request) {
	if !in.hasGuestAttributes() {
		http.Error(w, disabled, http.StatusForbidden)
		return
	}
	if in.refused < s.faults.Busy {
		in.refused++
		http.Error(w, "Too many requests.", http.StatusTooManyRequests)
		return
	}
	if !in.mayWrite(s.options.Now()) {
		http.Error(w, "Too many requests.", http.StatusTooManyRequests)
		return
	}
	value, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	name := r.PathValue("namespace") + "/" + r.PathValue("key")
	if size := len(value); size+in.written(name) > maxMetadata {
		http.Error(w, "The values are too large.", http.StatusRequestEntityTooLarge)
		return
	}
	in.attributes[name] = string(value)
}

// How often an instance may write its guest attributes.
const (
	writesInASecond = 3
	writesInAMinute = 10
)

// mayWrite counts the writes of an instance; one that is refused does not count.
func (in *instance) mayWrite(now time.Time) bool {
	in.writes = slices.DeleteFunc(in.writes, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	n := len(in.writes)
	if n >= writesInAMinute || n >= writesInASecond && now.Sub(in.writes[n-writesInASecond]) < time.Second {
		return false
	}
	in.writes = append(in.writes, now)
	return true
}

// written is the size in bytes of all guest attributes but one. Whether Google
// bounds it is not known: it bounds all metadata of an instance so.
func (in *instance) written(but string) (size int) {
	for name, value := range in.attributes {
		if name != but {
			size += len(value)
		}
	}
	return size
}

// getGuestAttributes answers a namespace ("mero/"), a key ("mero/report") or, for
// an empty path, everything; 404 until something was written there.
func (s *Server) getGuestAttributes(q request) (any, error) {
	in, err := s.instance(q)
	if err != nil {
		return nil, err
	}
	if !in.hasGuestAttributes() {
		return nil, refuse(http.StatusForbidden, "forbidden", disabled)
	}
	path := q.URL.Query().Get("queryPath")
	var items []*computepb.GuestAttributesEntry
	for _, name := range slices.Sorted(maps.Keys(in.attributes)) {
		namespace, key, _ := strings.Cut(name, "/")
		if s.faults.Reads != Absent && (path == "" || path == name || path == namespace || path == namespace+"/") {
			value := strings.ToValidUTF8(s.faults.distort(in.attributes[name]), "\uFFFD")
			items = append(items, &computepb.GuestAttributesEntry{Namespace: &namespace, Key: &key, Value: &value})
		}
	}
	if len(items) == 0 {
		return nil, refuse(http.StatusNotFound, "notFound",
			"The resource '%s' of type 'Guest Attribute' was not found.", path)
	}
	return &computepb.GuestAttributes{Kind: new("compute#guestAttributes"), QueryPath: &path,
		SelfLink: new(root + pathOf(q.URL.Path)), QueryValue: &computepb.GuestAttributesValue{Items: items}}, nil
}
