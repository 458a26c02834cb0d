package gce

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

const maxRequest = 4 << 20 // bytes of a JSON request

// call is a method of the API, named as in the vendor's description.
type call struct {
	name   string
	route  string // method, and path below projects/{project}
	handle handler
}

// handler answers one call, with a message of the API or a page; it runs with mu held.
type handler func(q request) (any, error)

// request is one API call.
type request struct {
	*http.Request
	call call
	body []byte
}

func (s *Server) calls() []call {
	return slices.Concat(s.projectCalls(), s.imageCalls(), s.diskCalls(), s.instanceCalls(), s.operationCalls())
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
		status, body, err := s.answer(request{Request: r, call: c})
		write(w, status, body, err)
	})
}

// answer carries the call out, unless the caller may not or a fault is in the way.
func (s *Server) answer(q request) (int, []byte, error) {
	err := s.authenticate(q.Request)
	if err == nil {
		q.body, err = read(q.Body, maxRequest)
	}
	if err == nil {
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
	if op, err := s.repeated(q); err != nil || op != nil {
		return op, err
	}
	body, err := q.call.handle(q)
	if fault != nil {
		return nil, fault
	}
	return body, err
}

// admit checks permissions and the names of project and zone.
func (s *Server) admit(q request) error {
	owner := q.PathValue("project")
	if owner != s.options.Project {
		if err := s.admitElsewhere(q, owner); err != nil {
			return err
		}
	}
	if owner == s.options.Project {
		if err := s.demand(q.target(), q.call.permissions()...); err != nil {
			return err
		}
	}
	if zone := q.PathValue("zone"); zone != "" && zone != s.options.Zone {
		return invalid("zone", zone, "Unknown zone.")
	}
	return nil
}

// admitElsewhere lets everybody read the images of a public project, and nobody anything else.
func (s *Server) admitElsewhere(q request, owner string) error {
	if len(s.imagesOf(owner)) == 0 {
		return refuse(http.StatusNotFound, "notFound", "Failed to find project %s", owner)
	}
	if q.Method == http.MethodGet && strings.HasPrefix(q.call.name, "images.") {
		return nil
	}
	return s.demand(q.target(), "compute."+q.call.name)
}

// read takes a body in, before anything is locked: it comes as slowly as its sender likes.
func read(body io.Reader, limit int) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(body, int64(limit)+1))
	if err == nil && len(data) > limit {
		err = refuse(http.StatusRequestEntityTooLarge, "uploadTooLarge", "The request is larger than %d bytes.", limit)
	}
	return data, err
}

// decode reads the request's JSON and refuses, as the API does, a name that it
// does not know.
func (q request) decode(into proto.Message) error {
	var sent any
	dec := json.NewDecoder(bytes.NewReader(q.body))
	dec.UseNumber()
	err := dec.Decode(&sent)
	if err == nil {
		err = tidy(sent, into.ProtoReflect().Descriptor())
	}
	if err == nil {
		data, _ := json.Marshal(sent) // it came out of JSON
		err = protojson.Unmarshal(data, into)
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "badRequest", "Invalid JSON payload received. %v", err)
	}
	return nil
}

// tidy prepares JSON for protojson, which would take a field's name in snake
// case, and would not take the null that Packer sends in a list.
func tidy(sent any, d protoreflect.MessageDescriptor) error {
	object, _ := sent.(map[string]any)
	for name, value := range object {
		field := d.Fields().ByJSONName(name)
		if field == nil {
			return fmt.Errorf("Unknown name %q: Cannot find field.", name) //nolint:staticcheck // the vendor's words
		}
		if field.IsMap() || field.Message() == nil {
			continue
		}
		items, ok := value.([]any)
		if ok {
			items = slices.DeleteFunc(items, func(item any) bool { return item == nil })
			object[name] = items
		} else {
			items = []any{value}
		}
		for _, item := range items {
			if err := tidy(item, field.Message()); err != nil {
				return err
			}
		}
	}
	return nil
}

// render is the answer's body; it runs with mu held, for body may be a part of the state.
func render(body any, err error) (int, []byte) {
	var data []byte
	if err == nil {
		if message, ok := body.(proto.Message); ok {
			data, err = protojson.Marshal(message)
		} else {
			data, err = json.Marshal(body)
		}
	}
	if err == nil {
		return http.StatusOK, data
	}
	var r *refusal
	if !errors.As(err, &r) {
		r = &refusal{status: http.StatusInternalServerError, reason: "backendError", message: err.Error()}
	}
	data, _ = json.Marshal(map[string]any{"error": map[string]any{"code": r.status, "message": r.message,
		"errors": []any{map[string]any{"message": r.message, "domain": "global", "reason": r.reason}}}}) // plain values
	return r.status, data
}

func write(w http.ResponseWriter, status int, body []byte, err error) {
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	var r *refusal
	if errors.As(err, &r) && r.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(r.retryAfter.Seconds())))
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // a client that went away needs no answer
}

// refusal is an error of the API, in the form of its answers.
type refusal struct {
	status          int
	reason, message string
	retryAfter      time.Duration
}

func (r *refusal) Error() string { return r.message }

func refuse(status int, reason, format string, args ...any) error {
	return &refusal{status: status, reason: reason, message: fmt.Sprintf(format, args...)}
}

func invalid(field, value, format string, args ...any) error {
	return refuse(http.StatusBadRequest, "invalid", "Invalid value for field '%s': '%s'. %s",
		field, value, fmt.Sprintf(format, args...))
}

func notFound(path string) error {
	return refuse(http.StatusNotFound, "notFound", "The resource '%s' was not found", path)
}

func exists(path string) error {
	return refuse(http.StatusConflict, "alreadyExists", "The resource '%s' already exists", path)
}

func notReady(path string) error {
	return refuse(http.StatusBadRequest, "resourceNotReady", "The resource '%s' is not ready", path)
}

func inUse(kind, path, by string) error {
	return refuse(http.StatusBadRequest, "resourceInUseByAnotherResource",
		"The %s resource '%s' is already being used by '%s'", kind, path, by)
}
