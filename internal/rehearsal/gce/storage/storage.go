// Package storage is Google's public bucket with the launch endorsements of its
// TDX firmware, and who signs them, for the local cloud's own firmware.
//
// Its promise: the bucket is a folder of plain files; an endorsement that is in
// it never changes; all of them are under a root of this rehearsal's own, whose
// name says so.
package storage

import (
	"encoding/xml"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/calimero-network/mero-tee/internal/attestation/endorsement"
	"github.com/calimero-network/mero-tee/internal/attestation/tdx"
	"github.com/calimero-network/mero-tee/internal/base/file"
)

// Hosts are the production names that a Server answers for.
func Hosts() []string { return []string{endorsement.Host} }

// Options of a Server. Dir and Authority are required.
type Options struct {
	Dir       string // of the buckets
	Authority *Authority
	Firmware  []tdx.Register // MRTDs that Google has endorsed
}

// Faults are what may go wrong at Google's.
type Faults struct {
	Denied    bool                // the bucket is not public any more
	NoBucket  bool                // it has another name by now
	Busy      int                 // so many requests are answered 503
	Elsewhere bool                // what answers is no Cloud Storage, and has a page for what it does not know
	Change    func([]byte) []byte // another message than the one in the bucket; nil for none means that there is none
}

// Server answers for the bucket. It is an http.Handler.
type Server struct {
	objects fs.FS
	mu      sync.Mutex
	faults  Faults
}

// New opens the bucket and endorses what firmware is not endorsed in it yet.
func New(o Options) (*Server, error) {
	for _, mrtd := range o.Firmware {
		path := filepath.Join(o.Dir, filepath.FromSlash(endorsement.Path(mrtd)))
		if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
			if err != nil {
				return nil, err
			}
			continue
		}
		data, err := o.Authority.Endorse(Statement{MRTDs: []tdx.Register{mrtd}})
		if err != nil {
			return nil, err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return nil, err
		}
		if err := file.Write(path, data, 0o644); err != nil {
			return nil, err
		}
	}
	return &Server{objects: os.DirFS(o.Dir)}, nil
}

// Change changes what goes wrong from now on.
func (s *Server) Change(f func(*Faults)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f(&s.faults)
}

// now is what goes wrong with this request.
func (s *Server) now() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.faults
	s.faults.Busy = max(0, s.faults.Busy-1)
	return f
}

// ServeHTTP gives an object to whoever asks without a name.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f := s.now()
	bucket, object, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	_, credentials := r.Header["Authorization"]
	switch {
	case f.Elsewhere:
		http.Error(w, "404 page not found", http.StatusNotFound)
	case f.Busy > 0:
		refuse(w, http.StatusServiceUnavailable, "ServiceUnavailable", "Service unavailable. Please retry.")
	case credentials:
		refuse(w, http.StatusUnauthorized, "AuthenticationRequired", "Authentication required.")
	case f.NoBucket, !fs.ValidPath(bucket), !s.has(bucket):
		refuse(w, http.StatusNotFound, "NoSuchBucket", "The specified bucket does not exist.")
	case f.Denied, object == "", r.Method != http.MethodGet && r.Method != http.MethodHead:
		refuse(w, http.StatusForbidden, "AccessDenied", "Access denied.")
	default:
		s.give(w, bucket+"/"+object, f.Change)
	}
}

func (s *Server) has(bucket string) bool {
	info, err := fs.Stat(s.objects, bucket)
	return err == nil && info.IsDir()
}

func (s *Server) give(w http.ResponseWriter, name string, change func([]byte) []byte) {
	data, err := fs.ReadFile(s.objects, name)
	if err == nil && change != nil {
		if data = change(data); data == nil {
			err = fs.ErrNotExist
		}
	}
	if err != nil {
		refuse(w, http.StatusNotFound, "NoSuchKey", "The specified key does not exist.")
		return
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(data)
}

// refuse answers as the XML interface does.
func refuse(w http.ResponseWriter, status int, code, message string) {
	body, _ := xml.Marshal(struct {
		XMLName       xml.Name `xml:"Error"`
		Code, Message string
	}{Code: code, Message: message}) // of two strings: it cannot fail
	w.Header().Set("Content-Type", "application/xml; charset=UTF-8")
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(xml.Header), body...))
}
