// Package gce is the rehearsal's Google Compute Engine: one project and one
// zone of the compute/v1 API, the token server of its service account, and each
// instance's metadata server.
//
// Its promise: a client written for Compute Engine cannot tell it apart for the
// calls it serves (every answer fits the vendor's description), operations take
// their time and fail as the vendor's do, everything that exists is a plain file
// below Options.State, and a kill at any instant leaves images usable and every
// instance, disk and image listed until somebody deletes it.
package gce

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	apiHost     = "compute.googleapis.com"
	projectHost = "cloudresourcemanager.googleapis.com"
	tokenHost   = "oauth2.googleapis.com" //nolint:gosec // a host
)

// Hosts lists the production host names that a Server answers for.
func Hosts() []string { return []string{apiHost, projectHost, tokenHost} }

// Options configures a Server. State, Project, Zone, Role and Host are required.
type Options struct {
	State   string // folder of all that is kept; one process at a time may use it
	Project string
	Zone    string
	Role    []string // the permissions of the project's account, such as compute.disks.create
	Public  bool     // the images of Google's public projects are there, by name
	Host    Host
	SSHPort int                    // where each instance's sshd listens, on the instance's own address
	Now     func() time.Time       // nil: time.Now; near the clients' time, for tokens
	Key     func() ([]byte, error) // makes a new folder's key file; nil: NewKey, which takes long
	Faults  Faults
}

// Server is an http.Handler for Hosts.
type Server struct {
	options Options
	mux     *http.ServeMux
	account *account
	listen  func() (net.Listener, error) // for an instance's metadata server

	ctx     context.Context // ends with Close; operations and instances live under it
	cancel  context.CancelFunc
	running sync.WaitGroup // operations, and who waits for machines

	mu         sync.Mutex // guards all that follows
	closed     bool
	faults     faults
	resources  map[string]resource // images, disks and instances by path
	operations map[string]*operation
	requests   map[string]*operation // by call, target and requestId
}

var (
	projectForm = regexp.MustCompile(`^[a-z][-a-z0-9]{4,28}[a-z0-9]$`)
	zoneForm    = regexp.MustCompile(`^[a-z]+-[a-z]+[0-9]-[a-z]$`)
)

// New opens or creates the folder and goes on from what it holds.
func New(o Options) (*Server, error) {
	if !projectForm.MatchString(o.Project) || !zoneForm.MatchString(o.Zone) || o.Role == nil || o.Host == nil {
		return nil, errors.New("a project, a zone such as us-central1-a, a role and a host are needed")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Key == nil {
		o.Key = func() ([]byte, error) { return NewKey(o.Project) }
	}
	if err := os.MkdirAll(o.State, 0o755); err != nil {
		return nil, err
	}
	state, err := filepath.EvalSymlinks(o.State) // mounts are listed by their real name
	if err == nil {
		o.State, err = filepath.Abs(state)
	}
	if err != nil {
		return nil, err
	}
	a, err := openAccount(filepath.Join(o.State, "service-account.json"), o.Key)
	if err != nil {
		return nil, err
	}
	s := &Server{options: o, account: a, listen: listenLoopback, faults: newFaults(o.Faults),
		resources: map[string]resource{}, operations: map[string]*operation{}, requests: map[string]*operation{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.mux = s.routes()
	err = s.restore()
	if err == nil && o.Public {
		err = s.addPublic()
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func listenLoopback() (net.Listener, error) { return net.Listen("tcp", "127.0.0.1:0") }

// ServeHTTP answers for Hosts.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Resources names every instance, disk and image of the project that exists,
// by its address below the API's root.
func (s *Server) Resources() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for path := range s.resources {
		if project(path) == s.options.Project {
			all = append(all, path)
		}
	}
	slices.Sort(all)
	return all
}

// Close stops every running instance and waits for all that is under way. What
// an operation had not finished stays as a kill would leave it.
func (s *Server) Close() error {
	s.mu.Lock()
	s.closed = true
	instances := all[*instance](s, s.options.Project)
	s.mu.Unlock()
	s.cancel()
	var errs []error
	for _, in := range instances {
		errs = append(errs, s.halt(in))
	}
	s.running.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, in := range all[*instance](s, s.options.Project) {
		if in.GetStatus() != "TERMINATED" {
			errs = append(errs, s.terminated(in))
		}
	}
	return errors.Join(errs...)
}

// locked runs work with mu held.
func (s *Server) locked(work func() error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return work()
}

func (s *Server) region() string { return s.options.Zone[:strings.LastIndex(s.options.Zone, "-")] }

func (s *Server) scope() string { return "projects/" + s.options.Project + "/zones/" + s.options.Zone }

func (s *Server) zonal(collection, name string) string {
	return s.scope() + "/" + collection + "/" + name
}

func (s *Server) stamp() string {
	return s.options.Now().UTC().Format("2006-01-02T15:04:05.000Z07:00")
}
