package gce

import (
	"net/http"
	"slices"
	"strings"
	"time"
)

// handler answers one call; it runs with mu held.
type handler func(q request) (any, error)

// call is a method of the API, named as in the vendor's description.
type call struct {
	name    string
	route   string // method, and path below projects/{project}
	needs   []string
	patient time.Duration // how long it waits for the operation it asks for
	handle  handler
}

func (s *Server) calls() []call {
	return slices.Concat(s.catalogCalls(), s.imageCalls(), s.diskCalls(), s.instanceCalls(), s.operationCalls())
}

func (s *Server) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, c := range s.calls() {
		method, path, _ := strings.Cut(c.route, " ")
		mux.Handle(method+" /compute/v1/projects/{project}"+path, s.serve(c))
	}
	mux.Handle("POST "+projectHost+"/v1/projects/{resource}", s.projectPermissions())
	mux.HandleFunc("POST "+tokenHost+"/token", s.giveToken)
	mux.HandleFunc("/", s.unserved)
	return mux
}

func (s *Server) unserved(w http.ResponseWriter, r *http.Request) {
	err := refuse(http.StatusNotFound, "notFound", "The rehearsal does not serve %s %s", r.Method, r.URL.Path)
	status, body := render(nil, err)
	write(w, status, body, err)
}

func (s *Server) serve(c call) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := request{Request: r, call: c}
		status, body, err := s.answer(q)
		if s.options.After != nil {
			s.options.After(c.name)
		}
		write(w, status, body, err)
	})
}

// answer carries the call out, unless the caller may not or a fault is in the way.
func (s *Server) answer(q request) (int, []byte, error) {
	err := s.authenticate(q.Request)
	if err == nil {
		q.body, err = read(q.Body, maxRequest)
	}
	if err == nil && q.call.patient > 0 {
		s.await(q)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var body any
	if err == nil {
		body, err = s.carryOut(q)
	}
	status, data := render(body, err)
	return status, data, err
}

func (s *Server) carryOut(q request) (any, error) {
	if s.closed {
		return nil, refuse(http.StatusServiceUnavailable, "backendError", "The rehearsal is closing.")
	}
	fault, after := s.faults.refusal(q.call.name)
	if fault != nil && !after {
		return nil, fault
	}
	if err := s.admit(q); err != nil {
		return nil, err
	}
	if op, again, err := s.repeated(q); err != nil || again {
		return op, err
	}
	body, err := q.call.handle(q)
	if fault != nil {
		return nil, fault
	}
	return body, err
}

// admit checks permissions and the names of project, zone and region.
func (s *Server) admit(q request) error {
	own := q.PathValue("project") == s.options.Project
	reads := q.Method == http.MethodGet && strings.HasPrefix(q.call.name, "images.")
	if !own && !(reads && len(s.imagesOf(q.PathValue("project"))) > 0) {
		return refuse(http.StatusNotFound, "notFound", "Failed to find project %s", q.PathValue("project"))
	}
	for _, permission := range q.call.needs {
		if s.faults.denies(permission) {
			return refuse(http.StatusForbidden, "forbidden", "Required '%s' permission for '%s'", permission, pathOf(q.URL.Path))
		}
	}
	if zone := q.PathValue("zone"); zone != "" && zone != s.options.Zone {
		return invalid("zone", zone, "Unknown zone.")
	}
	if region := q.PathValue("region"); region != "" && region != s.region() {
		return invalid("region", region, "Unknown region.")
	}
	return nil
}
